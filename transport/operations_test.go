package transport

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README's table and the list in doc.go say what is served: every operation once, none that
// is not there.
func TestOperationsAreDocumented(t *testing.T) {
	for file, line := range map[string]*regexp.Regexp{
		"../README.md": regexp.MustCompile(`(?m)^\| [^|]* \| ((?:GET|POST|PUT|DELETE) [^|]*) \|$`),
		"doc.go":       regexp.MustCompile(`(?m)^//\t((?:GET|POST|PUT|DELETE) .*\S) +\d{3}$`),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documented := map[string]int{}
		for _, found := range line.FindAllSubmatch(text, -1) {
			for _, o := range documentedIn(string(found[1])) {
				documented[o]++
			}
		}
		for _, o := range operations {
			if n := documented[o.method+" "+o.path]; n != 1 {
				t.Errorf("%s has %s %s %d times", file, o.method, o.path, n)
			}
		}
		for o := range documented {
			if !slices.ContainsFunc(operations, func(known operation) bool { return known.method+" "+known.path == o }) {
				t.Errorf("%s has %s, which is not served", file, o)
			}
		}
	}
}

// documentedIn reads "GET /a, …/b; POST /c" as GET base/a, GET base/a/b and POST base/c. A path
// that is not below the base path stands whole.
func documentedIn(text string) (operations []string) {
	for entry := range strings.SplitSeq(text, ";") {
		method, paths, _ := strings.Cut(strings.TrimSpace(entry), " ")
		first := ""
		for path := range strings.SplitSeq(paths, ",") {
			path = strings.TrimSpace(path)
			if suffix, more := strings.CutPrefix(path, "…"); more {
				path = first + suffix
			} else {
				first = path
			}
			operations = append(operations, method+" "+absolute(path))
		}
	}
	return operations
}

// absolute puts a path under the base path where it belongs there.
func absolute(path string) string {
	for _, outside := range []string{"/genesys/", "/healthz", "/readyz"} {
		if strings.HasPrefix(path, outside) {
			return path
		}
	}
	return base + path
}
