package conversation

import "math"

// Timers are the server's defaults for services without a value of their own; zero is off.
type Timers struct {
	AutoCompleteAfter Instant // milliseconds after the last update
	ExpireAfter       Instant // milliseconds after the last update
}

// completes is when an active service is due to be completed; 0 for never.
func (s *Service) completes(t Timers) Instant {
	switch {
	case s.Completed != nil:
		return 0
	case s.AutoCompleteAfter > 0:
		return later(s.Updated, s.AutoCompleteAfter)
	case t.AutoCompleteAfter > 0:
		return s.Updated + t.AutoCompleteAfter
	default:
		return 0
	}
}

// expires is when a service is due to be gone; 0 for never.
func (s *Service) expires(t Timers) Instant {
	switch {
	case s.Expires == endOfTime:
		return 0
	case s.Expires != 0:
		return s.Expires
	case t.ExpireAfter > 0:
		return s.Updated + t.ExpireAfter
	default:
		return 0
	}
}

// Due is when the first thing happens to s by itself; 0 for never.
func (s *Service) Due(t Timers) Instant {
	completes, expires := s.completes(t), s.expires(t)
	if completes == 0 || expires != 0 && expires < completes {
		return expires
	}
	return completes
}

// DecideDue says what has happened by itself up to the stamp's time. It comes before every
// event, so that nothing overdue is ever found. What is completed is completed at its due
// instant, whenever that is noticed, and its expiration by default counts from there.
func DecideDue(c *Customer, s Stamp, records []Record) []Record {
	for _, svc := range c.services {
		if due := svc.Due(s.Timers); due == 0 || due > s.Now {
			continue
		}
		completes, expires := svc.completes(s.Timers), svc.expires(s.Timers)
		if completes != 0 && completes <= s.Now && (expires == 0 || completes < expires) {
			if svc.Expires == 0 && s.Timers.ExpireAfter > 0 {
				expires = completes + s.Timers.ExpireAfter
			}
			if expires == 0 || expires > s.Now {
				records = append(records, Record{Kind: ServiceEnded, Service: svc.ID, At: completes, Shown: completes})
				continue
			}
		}
		records = append(records, Record{Kind: ServiceDeleted, Service: svc.ID, At: s.Now, Shown: s.Now})
	}
	return records
}

// At is s, a copy of o's service, as it is at an instant: what is due has happened. nil when
// it is gone.
func (s *Service) At(now Instant, o Owner, t Timers) *Service {
	c := Customer{Owner: o}
	c.Add(s)
	for _, r := range DecideDue(&c, Stamp{Now: now, Timers: t}, nil) {
		c.Apply(&r)
	}
	return c.Service(s.ID)
}

// Due is when the first thing happens by itself to one of those in memory; 0 for never.
func (c *Customer) Due(t Timers) Instant {
	var first Instant
	for _, s := range c.services {
		first = Sooner(first, s.Due(t))
	}
	return first
}

// Sooner is the first of two instants, where 0 is never.
func Sooner(a, b Instant) Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// noteFound adds that a composite start found s, if nothing else says that it was there and
// a timer counts from it.
func (s *Service) noteFound(records []Record, stamp Stamp) []Record {
	counts := s.completes(stamp.Timers) != 0 || s.Expires == 0 && stamp.Timers.ExpireAfter > 0
	if len(records) == 0 && counts && stamp.Now > s.Updated {
		records = append(records, Record{Kind: ServiceFound, Service: s.ID, At: stamp.Now, Shown: stamp.Now})
	}
	return records
}

// endOfTime stands for an instant that never comes.
const endOfTime Instant = math.MaxInt64

// later is so many seconds after at, or the end of time.
func later(at Instant, seconds int64) Instant {
	if seconds > (math.MaxInt64-int64(at))/1000 {
		return endOfTime
	}
	return at + Instant(seconds*1000)
}
