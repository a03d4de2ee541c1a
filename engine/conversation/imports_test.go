package conversation_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed is all that the domain may import: nothing with a clock, a file, a socket or a lock
// in it, and one module, the JSON grammar that merging needs. fmt is here for the texts of
// refusals.
var allowed = []string{
	"bytes", "cmp", "encoding/binary", "errors", "fmt", "iter", "maps", "math", "slices", "strconv",
	"github.com/go-json-experiment/json/jsontext",
}

// The domain is pure because there is nothing it could be impure with.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		looked++
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s; the domain may import %v", name, path, allowed)
			}
		}
	}
	if looked == 0 {
		t.Fatal("no source files here: the test looks in the wrong place")
	}
}
