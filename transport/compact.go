package transport

import (
	"encoding/binary"
	"math/bits"
)

// appendCompact appends text without the white space between its tokens. It touches nothing else:
// numbers keep every digit, strings every escape. Text that is not valid JSON stays so: where
// tokens would run together, as in 1 2, a space is left.
func appendCompact(to, text []byte) []byte {
	copied := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			i = endOfString(text, i)
		case isSpace(c):
			to = append(to, text[copied:i]...)
			before := i
			i = endOfSpace(text, i)
			copied = i
			if before > 0 && i < len(text) && !isMark(text[before-1]) && !isMark(text[i]) {
				to = append(to, ' ')
			}
		default:
			i++
		}
	}
	return append(to, text[copied:]...)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// isMark tells what ends a number or word as well as white space does.
func isMark(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ',', ':', '"':
		return true
	}
	return false
}

// endOfSpace is where the white space ends that begins at i: most often the end of a line and an
// indentation.
func endOfSpace(text []byte, i int) int {
	const spaces = 0x2020_2020_2020_2020
	for i++; len(text)-i >= 8 && binary.LittleEndian.Uint64(text[i:]) == spaces; i += 8 {
	}
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	return i
}

// extent is how long the value is that compact text begins with, and how deeply it nests; of text
// that ends early, both as far as it goes.
func extent(text []byte) (length, nesting int) {
	level, i := 0, 0
	for i < len(text) {
		switch text[i] {
		case '"':
			i = endOfString(text, i)
			if level == 0 {
				return i, nesting
			}
			continue
		case '{', '[':
			level++
			nesting = max(nesting, level)
		case '}', ']':
			if level--; level <= 0 {
				return i + level + 1, nesting // a word or number ends before what closes around it
			}
		case ',':
			if level == 0 {
				return i, nesting
			}
		}
		i++
	}
	return i, nesting
}

// endOfString is where the string ends that begins at i. Most are short, so that a call for each,
// such as to bytes.IndexByte, would take longer than the search.
func endOfString(text []byte, i int) int {
	for i++; len(text)-i >= 8; {
		eight := binary.LittleEndian.Uint64(text[i:])
		if found := holding(eight, '"') | holding(eight, '\\'); found == 0 {
			i += 8
		} else if i += bits.TrailingZeros64(found) / 8; text[i] == '"' {
			return i + 1
		} else {
			i += 2 // the backslash and what it escapes
		}
	}
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(text)
}

// holding has a bit set in the first of the eight bytes that is c, none if there is no such; in
// those behind it, there may be others.
func holding(eight uint64, c byte) uint64 {
	const ones = 0x0101_0101_0101_0101
	x := eight ^ ones*uint64(c)
	return (x - ones) & ^x & (ones << 7)
}
