// Package geoip says where an address is, from a database file in MaxMind's format that the admin has (GeoLite2 City or
// Country, DB-IP, IP2Location in that format).
//
// Promise: reads one local file and asks nobody. A file that is no such database is an error that names it.
package geoip

import (
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// DB is an open database. It is safe for concurrent use.
type DB struct{ r *maxminddb.Reader }

// Place is a country, and coordinates in degrees where the database has them.
type Place struct {
	Country  string // ISO 3166-1 alpha-2
	Lat, Lon float64
}

// Open opens a database file.
func Open(name string) (*DB, error) {
	r, err := maxminddb.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s is no MaxMind database: %w", name, err)
	}
	return &DB{r}, nil
}

// Close gives the file back.
func (d *DB) Close() error { return d.r.Close() }

// Locate finds an address; ok is false where the database does not know it.
func (d *DB) Locate(ip netip.Addr) (p Place, ok bool) {
	var rec struct {
		Country struct {
			ISO string `maxminddb:"iso_code"`
		} `maxminddb:"country"`
		Location struct {
			Lat float64 `maxminddb:"latitude"`
			Lon float64 `maxminddb:"longitude"`
		} `maxminddb:"location"`
	}
	if err := d.r.Lookup(ip).Decode(&rec); err != nil || rec.Country.ISO == "" {
		return Place{}, false
	}
	return Place{rec.Country.ISO, rec.Location.Lat, rec.Location.Lon}, true
}
