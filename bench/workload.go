package bench

import (
	"fmt"
	"strings"
)

// A Workload says what is asked for. The same seed draws the same requests.
type Workload struct {
	Name      string  // one of Workloads
	Seed      uint64  // tells runs against one server apart
	Creating  float64 // composite: share of the items that create, 0 to 1
	Customers int     // that are found or read
	Skew      float64 // above 1: they are drawn by Zipf's law with this exponent; 0: all alike
	Items     int     // of one composite start
	Body      string  // of an item of it: one of Bodies
	Prepared  bool    // the customers are there already, from a run with the same seed
}

// Bodies are what an item of a composite start says, each with a sentence on it.
var Bodies = [][2]string{
	{"page", "the contract's example, with notes, offers and numbers drawn anew"},
	{"small", "customer and types and nothing else, as a program that embeds the engine may send"},
}

// Workloads are the names, each with a sentence on what it asks for.
var Workloads = [][2]string{
	{"composite", "composite starts: a share creates, each for a customer of its own, the rest finds"},
	{"found", "composite starts that find all they ask for"},
	{"hot", "composite starts that find, all for one customer"},
	{"read", "reads of what is active for a customer, with states, tasks and extensions"},
	{"conversation", "33 requests a call: a service of five states with two tasks each, all ended, and one read"},
}

const (
	// MaxItems is the most items of a composite start: what a server takes unless told otherwise.
	MaxItems = 1_000
	// MaxCustomers is the most customers that are found: they are created before the run.
	MaxCustomers = 10_000_000
	// minSkew: below, Zipf's law takes no total.
	minSkew = 1.001
)

// Check refuses what makes no sense, naming the field as the command line does.
func (w Workload) Check() error {
	if err := oneOf("workload", Workloads, w.Name); err != nil {
		return err
	}
	if err := oneOf("body", Bodies, w.Body); err != nil {
		return err
	}
	switch {
	case w.Creating < 0 || w.Creating > 1:
		return fmt.Errorf("creating must be from 0 to 1, not %v", w.Creating)
	case w.Customers < 1 || w.Customers > MaxCustomers:
		return fmt.Errorf("customers must be from 1 to %d, not %d", MaxCustomers, w.Customers)
	case w.Skew != 0 && (w.Skew < minSkew || w.Skew > 100):
		return fmt.Errorf("skew must be 0 or from %v to 100, not %v", minSkew, w.Skew)
	case w.Items < 1 || w.Items > MaxItems:
		return fmt.Errorf("items must be from 1 to %d, not %d", MaxItems, w.Items)
	}
	return nil
}

func oneOf(field string, names [][2]string, name string) error {
	var all []string
	for _, about := range names {
		if about[0] == name {
			return nil
		}
		all = append(all, about[0])
	}
	return fmt.Errorf("%s must be one of %s, not %q", field, strings.Join(all, ", "), name)
}

// known is how many customers must be there before the run.
func (w Workload) known() int {
	switch {
	case w.Name == "hot":
		return 1
	case w.Name == "conversation", w.Name == "composite" && w.Creating == 1:
		return 0
	}
	return w.Customers
}
