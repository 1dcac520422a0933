// Package storetest holds the contracts of the stores: one suite per interface, run against every implementation.
package storetest
