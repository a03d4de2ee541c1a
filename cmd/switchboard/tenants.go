package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/switchboard-cs/switchboard/transport"
)

// parseTenants reads names with commas between them or, after an @, a file with one a line,
// where empty lines and those that begin with # are skipped. White space around a name is not
// part of it. An error of a file names it and the line.
func parseTenants(flag string) ([]string, error) {
	path, isFile := strings.CutPrefix(flag, "@")
	if !isFile {
		return tenantsOfList(flag)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var tenants []string
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		name := strings.TrimSpace(line)
		if name == "" || name[0] == '#' {
			continue
		}
		if err := checkTenant(name, tenants); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		tenants = append(tenants, name)
	}
	if len(tenants) == 0 {
		return nil, fmt.Errorf("%s: no tenant in it", path)
	}
	return tenants, nil
}

func tenantsOfList(list string) (tenants []string, err error) {
	if list == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if err := checkTenant(name, tenants); err != nil {
			return nil, err
		}
		tenants = append(tenants, name)
	}
	return tenants, nil
}

func checkTenant(name string, before []string) error {
	switch {
	case name == "":
		return fmt.Errorf("an empty name")
	case len(name) > transport.MaxTenantBytes:
		return fmt.Errorf("a name of %d bytes, the bound is %d: %.64s…", len(name), transport.MaxTenantBytes, name)
	case slices.Contains(before, name):
		return fmt.Errorf("%s is there twice", name)
	}
	return nil
}
