package persist

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
)

const (
	// memTables that may be in memory: one that fills, and those that wait to be flushed.
	memTables = 4
	// bloomBits a key leave one in a hundred look-ups of a customer never seen to a read.
	bloomBits = 10
	// blockBytes of a table: rows are packed one by one, so larger blocks only save index.
	blockBytes = 16 << 10
	// separateFrom is the size in bytes from which a value stands in a blob file, where
	// compactions leave it: frames, which are soon deleted, and the rows of services with
	// extensions.
	separateFrom = 256
	// blobDepth is how many blob files one table may lead to.
	blobDepth = 10
	// A blob file is rewritten when a third of it is garbage, and not in its first minutes, in
	// which what is short-lived dies.
	blobGarbage = 0.33
	blobAge     = 5 * time.Minute
	// openFiles that Pebble keeps.
	openFiles = 1_000
)

// pebbleOptions says what Pebble is to be here. Its format is pinned by name: the default is
// the oldest, which cannot tell a torn end of the log from damage in its middle.
func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.opts.FS,
		Lock:                        s.lock,
		Cache:                       s.cache,
		Comparer:                    comparer(),
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                uint64(s.opts.TableBytes),
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                openFiles,
		Logger:                      logger{s},
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener:               &pebble.EventListener{BackgroundError: s.backgroundError},
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: separateFrom, MaxBlobReferenceDepth: blobDepth,
			RewriteMinimumAge: blobAge, TargetGarbageRatio: blobGarbage,
		}
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
		o.Levels[i].BlockSize = blockBytes
		o.Levels[i].Compression = func() *block.CompressionProfile { return block.NoCompression }
	}
	return o
}

// backgroundError: Pebble tries a failed flush or compaction again and again, while its
// memory fills; it is as final here as a failed commit.
func (s *Store) backgroundError(err error) { s.fatal(err) }

// logger passes Pebble's fatal errors on. A Logger whose Fatalf returns would acknowledge
// writes that failed.
type logger struct{ store *Store }

func (logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) { l.store.opts.Logf(format, args...) }

func (l logger) Fatalf(format string, args ...any) { l.store.fatal(fmt.Errorf(format, args...)) }
