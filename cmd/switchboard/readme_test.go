package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/switchboard-cs/switchboard/engine"
	"github.com/switchboard-cs/switchboard/transport"
)

var update = flag.Bool("update", false, "write the answers in the README anew")

const root = "../.."

// example is a command of the README, and the answer that it shows.
var example = regexp.MustCompile("(?s)```sh\n(curl .*?)\n```\n\n```\n(.*?)```")

// Every curl of the README, in its order and on a fresh server, answers what the README says it
// answers, but for times.
func TestReadmeExamples(t *testing.T) {
	path := filepath.Join(root, "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := start("127.0.0.1:0", engine.Options{Dir: t.TempDir(), Logf: t.Logf}, transport.Options{Logf: t.Logf}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.stop(t.Context()) }()
	ran := 0
	now := example.ReplaceAllStringFunc(string(text), func(block string) string {
		ran++
		parts := example.FindStringSubmatch(block)
		answer := curl(t, parts[1], n.address())
		if !*update && timeless(answer) != timeless(parts[2]) {
			t.Errorf("%s\nanswers\n%sand the README says\n%s", parts[1], answer, parts[2])
		}
		return "```sh\n" + parts[1] + "\n```\n\n```\n" + answer + "```"
	})
	if ran < 10 {
		t.Errorf("%d examples: the test does not see them", ran)
	}
	if *update {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z|Date: [^\n]*|"duration":\d+`)

func timeless(answer string) string { return times.ReplaceAllString(answer, "*") }

// curl sends what a curl command would, and gives what it would print.
func curl(t *testing.T, command, address string) string {
	t.Helper()
	method, url, body, head, headers := "GET", "", "", false, http.Header{}
	words := shellWords(command)
	for i := 1; i < len(words); i++ {
		next := func() string { i++; return words[i] }
		switch word := words[i]; word {
		case "-i":
			head = true
		case "-X":
			method = next()
		case "-H":
			name, value, _ := strings.Cut(next(), ": ")
			headers.Set(name, value)
		case "--json":
			headers.Set("Content-Type", "application/json")
			fallthrough
		case "-d":
			if body = next(); strings.HasPrefix(body, "@") {
				file, err := os.ReadFile(filepath.Join(root, body[1:]))
				if err != nil {
					t.Fatal(err)
				}
				body = string(file)
			}
			if !slices.Contains(words, "-X") {
				method = "POST"
			}
		default:
			url = word
		}
	}
	url = strings.Replace(url, "$CS", "http://127.0.0.1:8080/genesys/1/cs", 1)
	url = strings.Replace(url, "127.0.0.1:8080", address, 1)
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = headers
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if head {
		fmt.Fprintf(&printed, "%s %s\n", reply.Proto, reply.Status)
		for _, name := range []string{"Date", "Content-Type", "Content-Length", "Location"} {
			if value := reply.Header.Get(name); value != "" {
				fmt.Fprintf(&printed, "%s: %s\n", name, value)
			}
		}
		printed.WriteString("\n")
	}
	if printed.Write(answer); len(answer) > 0 {
		printed.WriteString("\n")
	}
	return printed.String()
}

// shellWords splits a command as a shell does, as far as the README needs it: at white space
// outside quotes, with a backslash at the end of a line.
func shellWords(command string) (words []string) {
	command = strings.ReplaceAll(command, "\\\n", " ")
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, c := range command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\n'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
