package transport

import (
	"time"

	"github.com/switchboard-cs/switchboard/engine"
)

const (
	wantTimestamp = "an RFC 3339 timestamp after the first instant of the year 1"
	longestYear   = 9999
)

// parseTimestamp reads RFC 3339: a date, a T, a time with at most nine fraction digits, and Z
// or an offset. time.Parse would take more than that: a comma, an hour of one digit, any
// number of digits. What lies outside the years 1 to 9999 in UTC, or is the very first
// instant, which stands for none, is refused.
func parseTimestamp(text []byte) (engine.Instant, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(text) <= len(shape) {
		return 0, false
	}
	for i := range len(shape) {
		digit := text[i] >= '0' && text[i] <= '9'
		if shape[i] == '0' && !digit || shape[i] != '0' && upper(text[i]) != shape[i] {
			return 0, false
		}
	}
	year, month, day := number(text[0:4]), number(text[5:7]), number(text[8:10])
	hour, minute, second := number(text[11:13]), number(text[14:16]), number(text[17:19])
	if hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	nanosecond, rest, ok := fraction(text[len(shape):])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	local := time.Date(year, time.Month(month), day, hour, minute, second, nanosecond, time.UTC)
	if local.Day() != day || local.Month() != time.Month(month) { // the 30th of February
		return 0, false
	}
	at := local.Add(-offset)
	if at.Year() < 1 || at.Year() > longestYear || engine.At(at) <= 0 {
		return 0, false
	}
	return engine.At(at), true
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

func number(digits []byte) int {
	n := 0
	for _, c := range digits {
		n = 10*n + int(c-'0')
	}
	return n
}

// fraction reads what may follow the seconds: a point and one to nine digits.
func fraction(text []byte) (nanosecond int, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '.' {
		return 0, text, true
	}
	text = text[1:]
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	if digits < 1 || digits > 9 {
		return 0, nil, false
	}
	nanosecond = number(text[:digits])
	for range 9 - digits {
		nanosecond *= 10
	}
	return nanosecond, text[digits:], true
}

// zone reads Z or an offset such as +02:00.
func zone(text []byte) (time.Duration, bool) {
	if len(text) == 1 && upper(text[0]) == 'Z' {
		return 0, true
	}
	if len(text) != len("+00:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	for _, i := range []int{1, 2, 4, 5} {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	hours, minutes := number(text[1:3]), number(text[4:6])
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// appendTimestamp writes it as replies do.
func appendTimestamp(b []byte, at engine.Instant) []byte {
	return engine.Time(at).AppendFormat(b, "2006-01-02T15:04:05.000Z")
}
