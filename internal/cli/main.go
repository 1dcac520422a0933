// Package cli reads flags, environment and configuration, composes the rooms, and exits. No other room does any of
// these.
package cli

// Main runs the program.
func Main() {}
