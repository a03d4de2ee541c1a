package transport

import "bytes"

// appendCompact appends a valid JSON value without the white space between its tokens, and
// tells how deeply it nests. It touches nothing else: numbers keep every digit, strings every
// escape.
func appendCompact(to, value []byte) (compacted []byte, depth int) {
	level, copied := 0, 0
	for i := 0; i < len(value); {
		switch value[i] {
		case '"':
			i = endOfString(value, i)
			continue
		case ' ', '\n', '\r', '\t':
			to = append(to, value[copied:i]...)
			for i++; i < len(value) && isSpace(value[i]); i++ {
			}
			copied = i
			continue
		case '{', '[':
			level++
			depth = max(depth, level)
		case '}', ']':
			level--
		}
		i++
	}
	return append(to, value[copied:]...), depth
}

// nesting tells how deeply a JSON text, or the beginning of one, nests.
func nesting(text []byte) int {
	level, depth := 0, 0
	for i := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = endOfString(text, i)
			continue
		case '{', '[':
			level++
			depth = max(depth, level)
		case '}', ']':
			level--
		}
		i++
	}
	return depth
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// endOfString is where the string that starts at i ends: past a quote with an even number of
// backslashes before it.
func endOfString(text []byte, i int) int {
	for i++; ; {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text)
		}
		i += n + 1
		backslashes := 0
		for text[i-2-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i
		}
	}
}
