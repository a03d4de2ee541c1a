package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
)

// maxCredentialBytes bounds name and password of a request together; who sends more is nobody.
const maxCredentialBytes = 512

// Credentials are the users that are served, by HTTP Basic.
type Credentials struct{ users map[string]*user }

type user struct {
	hash    [sha256.Size]byte // of the password
	tenants set               // those it may act for; empty: all
}

func (u *user) mayActFor(tenant []byte) bool {
	return u == nil || len(u.tenants) == 0 || u.tenants.has(tenant)
}

// LoadCredentials reads a file of users, one a line:
//
//	name:SHA-256 of the password in hex[:tenant,tenant…]
//
// A user with tenants may act for these alone; each must be one of tenants. Empty lines and
// those that begin with # are skipped. An error names the file and the line.
func LoadCredentials(path string, tenants []string) (*Credentials, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseCredentials(path, string(text), tenants)
}

func parseCredentials(path, text string, tenants []string) (*Credentials, error) {
	configured := set{}
	for _, name := range tenants {
		configured[name] = struct{}{}
	}
	c := &Credentials{users: map[string]*user{}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, u, err := parseUser(line, configured)
		if err == nil && c.users[name] != nil {
			err = fmt.Errorf("user %s is there already", name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		c.users[name] = u
	}
	if len(c.users) == 0 {
		return nil, fmt.Errorf("%s: no user in it", path)
	}
	return c, nil
}

func parseUser(line string, configured set) (name string, u *user, err error) {
	name, rest, found := strings.Cut(line, ":")
	if !found || name == "" {
		return "", nil, fmt.Errorf("want name:hash or name:hash:tenant,tenant")
	}
	hash, bound, isBound := strings.Cut(rest, ":")
	u = &user{tenants: set{}}
	decoded, err := hex.DecodeString(hash)
	if err != nil || len(decoded) != len(u.hash) {
		return "", nil, fmt.Errorf("user %s: want the SHA-256 of the password, %d hex digits, not %d characters", name, 2*len(u.hash), len(hash))
	}
	copy(u.hash[:], decoded)
	if !isBound {
		return name, u, nil
	}
	for tenant := range strings.SplitSeq(bound, ",") {
		tenant = strings.TrimSpace(tenant)
		if _, known := configured[tenant]; !known {
			return "", nil, fmt.Errorf("user %s: tenant %q is not configured", name, tenant)
		}
		u.tenants[tenant] = struct{}{}
	}
	return name, u, nil
}

// authenticate finds the user whose credentials the request carries; nil where none are needed.
func (c *call) authenticate() (*user, error) {
	known := c.server.options.Credentials
	if known == nil {
		return nil, nil
	}
	u := known.find(c.ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if u == nil {
		c.ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, `Basic realm="switchboard"`)
		return nil, errUnknownUser
	}
	return u, nil
}

// find is the user of an Authorization header. It takes as long for a name that is not there
// as for a password that is wrong.
func (c *Credentials) find(header []byte) *user {
	scheme, sent, _ := bytes.Cut(header, []byte(" "))
	sent = bytes.TrimSpace(sent)
	var memory [maxCredentialBytes]byte
	if !bytes.EqualFold(scheme, []byte("Basic")) || base64.StdEncoding.DecodedLen(len(sent)) > len(memory) {
		return nil
	}
	n, err := base64.StdEncoding.Decode(memory[:], sent)
	name, password, whole := bytes.Cut(memory[:n], []byte(":"))
	if err != nil || !whole {
		return nil
	}
	hash := sha256.Sum256(password)
	u, found := c.users[string(name)]
	if !found {
		u = &user{}
	}
	if subtle.ConstantTimeCompare(hash[:], u.hash[:]) != 1 || !found {
		return nil
	}
	return u
}
