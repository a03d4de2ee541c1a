// Package persist keeps what was decided: a journal of frames, and rows derived from it, in
// Pebble. journal.go has the way of a record to disk; tail.go how rows let the journal be cut, and
// segments.go which of its old frames are kept for rows that lead there; recover.go how it is read
// back, and seen.go of whom there is nothing to read; scan.go walks over everything, due.go over
// what is due. What follows is every byte that stands on disk; golden files in testdata hold it.
//
// In the tables, u8 is a byte, u16, u32 and u64 are fixed, big-endian unless marked le, uvarint
// and varint are those of encoding/binary (varint is zigzag), and text is a uvarint length and
// that many bytes. Square brackets hold what is there only when its flag is set. An instant
// counts milliseconds since 0001-01-01T00:00:00Z, and 0 is none.
//
// # The folder
//
//	LOCK    empty; held by the one process that has the folder open
//	FORMAT  "switchboard data folder, format 1\n"; written under the lock before any other file,
//	        whole or not at all (by way of FORMAT.new), and read before anything is touched
//	others  Pebble's, at its format FormatValueSeparation, comparer "switchboard.keys.v1",
//	        bloom filters of 10 bits a prefix, tables not compressed
//
// # Keys
//
// The first byte tells what a key is. Keys are ordered by their bytes. The prefix for which
// bloom filters answer is 0x10 and the owner in rows, the whole key in all others.
//
//	0x01  first u64                  a frame; number of its first record
//	0x02                             the mark
//	0x03                             the timers
//	0x04  segment u64                a segment of frames
//	0x10  owner  phase u8  id u64    a service's row; phase 0 active, 1 completed
//	0x20  id u64                     an index row
//	0x30  due u64  id u64            a due row; due is an instant
//
//	owner: kind u8 ('c' customer, 'a' anonymous contact key), tenant length u8, tenant, key
//	       length u16, key; so that no owner's bytes begin another's
//
// # Values
//
//	frame  version u8 (1), last uvarint, reserved uvarint, groups as one s2 block
//	row    version u8 (1), codec u8, last uvarint, body: plain (codec 0), as one s2 block
//	       (codec 1, from 256 bytes on), or a lead (codec 2, to a group of 256 bytes to 32 KiB)
//	lead   frame uvarint: number of its first record; at uvarint: the byte of its unpacked groups
//	       where the group begins; length of the group uvarint
//	index  owner, as in keys; without a version, like them
//	mark   version u8 (1), first uvarint, reserved uvarint
//	due    empty
//	timers version u8 (1), auto-complete uvarint, expiration uvarint: milliseconds, 0 is off
//	seg.   version u8 (1), bytes of its frames' groups uvarint, those that rows lead to uvarint
//
//	group  length u32 le of what follows, owner, number of records uvarint, records
//	body   number of records uvarint, records: the fewest that make the service again
//
// A frame's last is the number of its last record; a row's is that of its owner's last record
// when it was made; the mark's first is that of the first frame's first record or, where there
// is no frame, of the next one. Service ids with counters up to reserved may have been given, in
// every partition. In a row the start of the service has as its at the last update, the other
// records have none, and the service's end stands right after its start.
//
// # Records
//
//	kind u8, flags u8, service id uvarint,
//	[0x01 id of the state or task uvarint]
//	[0x02 ref uvarint: the state before a state, the state of a task]
//	[0x04 at uvarint: instant of the decision, as 64 bits]
//	[0x08 shown varint: instant shown; else it is at]
//	[0x10 type text; with 0x20 it was sent as an integer]
//	[0x40 contact key text]
//	[0x80 auto-complete seconds uvarint, expires varint: an instant]
//	details text
//
//	kinds: 1 service started, 2 state started, 3 task started, 4 service ended, 5 state ended,
//	       6 task ended, 7 service deleted, 8 service left for another owner, 9 service found,
//	       10 service expires, 11 service extended, 12 state extended, 13 task extended
//
//	details: members in the order sent; a common field is its number u8 and its JSON as text,
//	         an extension is 0 u8, its name as text and its JSON as text
//	fields:  1 session_id, 2 interaction_id, 3 application_type, 4 application_id,
//	         5 resource_type, 6 resource_id, 7 media_type, 8 est_duration, 9 disposition,
//	         10 disposition_desc
//
// # Service ids
//
//	bits 52 to 12  counter of the partition, from 1
//	bits 11 to 0   partition: the top 12 bits of XXH64, seed 0, of tenant, 0x00, 'c' or 'a', key
//
// # What holds
//
//   - Records are numbered from 1 in the order of Append, without a gap. A frame begins with
//     the number after the last of the one before it, the first one with the mark's, or with 1
//     when there is no mark. Anything else is an error at Open, which names the number.
//   - A group, the records of one Append, is never split over frames: after a crash all of it
//     is there or none, and nothing is there that was appended later than something missing.
//   - When Wait has returned nil for a number, every record up to it survives a crash.
//   - A row is written in the batch of its owner's last records or a later one. So a customer
//     is its rows and, on top, those of its records in the journal whose numbers are higher
//     than the row's last, however many rows were written.
//   - A service has one row, under its owner, and from its first row on an index row. The row
//     of a completed one and the deletion of its active one are one batch.
//   - A service that goes to another owner leaves its old one and starts at the new one in one
//     frame, in a group of each. Its new row brings an index row; its old row is deleted with the
//     rows of its old owner, before or after that. Memory keeps the way from the id to the owner,
//     with the number of the record that made it so, until an index row of that number or a
//     later one is on disk.
//   - Where a service was deleted or has left, its rows are deleted, and frames may be cut, so
//     that the tail may begin in the middle of what it says of one: it is of one without rows,
//     and the tail says that it is gone. Anything else of one without rows is an error.
//   - A service row has a due row for the instant at which something happens to the service by
//     itself, by what the row and the timers say, if anything does; they are one batch. There may
//     be other due rows, which tell of nothing: a due row is a hint to ask the owner. The timers
//     are the server's defaults for which that holds; they are deleted in the first batch after
//     an opening with others, and written again with the last of the due rows of those.
//   - The mark moves on in the batch that holds the last row that the frames before it wait for,
//     or a later one. These are deleted then, but for those of segments into which rows lead.
//   - A segment is the frames whose first records have numbers from 512 times its own on. Its bytes
//     in use are those of the groups to which rows on disk lead, exactly: what a row changes of
//     them is in its batch. In the batch after which nothing of a segment is in use or behind the
//     mark, it is deleted with its frames.
//   - A row leads to a group where the service's records, since it started, all stand there. Others
//     may stand there too. It is written out, in place, as soon as there is another record.
//   - A frame carries the reserved of the moment at which it is cut, and the mark that of its
//     own. After a restart counters begin past the highest of them: an id is never given again
//     once its record, or any that was appended after it was given, is on disk. Another may be,
//     for nobody was told of it.
//   - Version 1 is the only one. A higher one in FORMAT is refused before anything is touched;
//     in a value it is an error that names both.
package persist
