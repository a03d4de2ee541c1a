package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func hashed(password string) string {
	hash := sha256.Sum256([]byte(password))
	return hex.EncodeToString(hash[:])
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func mustCredentials(t testing.TB, text string, tenants ...string) *Credentials {
	t.Helper()
	c, err := parseCredentials("users", text, tenants)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Name and password must both be right, in the form of HTTP Basic.
func TestCredentials(t *testing.T) {
	c := mustCredentials(t, "# the desk\n\n ann:"+hashed("secret")+"\nbob:"+strings.ToUpper(hashed("a:b"))+":north, south\r\nnone:"+hashed(""), "north", "south", "west")
	for header, known := range map[string]bool{
		basic("ann:secret"):                 true,
		"bAsIc  " + basic("ann:secret")[6:]: true,
		basic("bob:a:b"):                    true,
		basic("none:"):                      true,
		"":                                  false,
		"Basic":                             false,
		"Basic !":                           false,
		basic("ann"):                        false,
		basic("ann:"):                       false,
		basic("ann:Secret"):                 false,
		basic("ann:secret "):                false,
		basic("Ann:secret"):                 false,
		basic("eve:secret"):                 false,
		basic("eve:"):                       false,
		"Bearer " + basic("ann:secret")[6:]: false,
		basic("ann:" + strings.Repeat("x", 1000)): false,
	} {
		if got := c.find([]byte(header)) != nil; got != known {
			t.Errorf("%q is known: %v", header, got)
		}
	}
	for tenant, may := range map[string]bool{"north": true, "south": true, "west": false} {
		if c.users["bob"].mayActFor([]byte(tenant)) != may || !c.users["ann"].mayActFor([]byte(tenant)) {
			t.Errorf("who may act for %s", tenant)
		}
	}
	header := []byte(basic("ann:secret"))
	if n := testing.AllocsPerRun(100, func() { c.find(header) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A line that cannot be read is told with the file and its number.
func TestBadCredentials(t *testing.T) {
	good := "ann:" + hashed("secret")
	for text, want := range map[string]string{
		"":                       `users: no user in it`,
		"# nobody\n":             `users: no user in it`,
		"ann":                    `users:1: want name:hash or name:hash:tenant,tenant`,
		"\n:" + hashed("x"):      `users:2: want name:hash or name:hash:tenant,tenant`,
		good + "\nbob:secret":    `users:2: user bob: want the SHA-256 of the password, 64 hex digits, not 6 characters`,
		"bob:" + hashed("x")[1:]: `users:1: user bob: want the SHA-256 of the password, 64 hex digits, not 63 characters`,
		good + "\n" + good:       `users:2: user ann is there already`,
		good + ":north,east":     `users:1: user ann: tenant "east" is not configured`,
		good + ":":               `users:1: user ann: tenant "" is not configured`,
	} {
		if _, err := parseCredentials("users", text, []string{"north"}); err == nil || err.Error() != want {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
	if _, err := LoadCredentials("testdata/missing", nil); err == nil || !strings.Contains(err.Error(), "testdata/missing") {
		t.Errorf("a missing file: %v", err)
	}
}
