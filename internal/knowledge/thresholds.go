package knowledge

import "github.com/pelletier/go-toml/v2"

// Thresholds are the numbers that decide between good and bad; units are in the names.
type Thresholds struct {
	Checked toml.LocalDate `toml:"checked"`
	TLS     struct {
		ExpiryNoteDays    int `toml:"expiry_note_days"`
		ExpiryWarningDays int `toml:"expiry_warning_days"`
		ExpiryErrorDays   int `toml:"expiry_error_days"`
		MinRSABits        int `toml:"min_rsa_bits"`
		MinDHBits         int `toml:"min_dh_bits"`
	} `toml:"tls"`
	SMTP struct {
		GreetingNoteSeconds    int   `toml:"greeting_note_seconds"`
		GreetingWarningSeconds int   `toml:"greeting_warning_seconds"`
		SizeNoteBytes          int64 `toml:"size_note_bytes"`
	} `toml:"smtp"`
	DNSSEC struct {
		ExpiryWarningDays int `toml:"expiry_warning_days"`
	} `toml:"dnssec"`
	Local struct {
		DiskFreeWarningPercent   int `toml:"disk_free_warning_percent"`
		DiskFreeErrorPercent     int `toml:"disk_free_error_percent"`
		MemoryFreeWarningPercent int `toml:"memory_free_warning_percent"`
		LoadPerCPUWarning        int `toml:"load_per_cpu_warning"`
		FilesOpenWarningPercent  int `toml:"files_open_warning_percent"`
		ClockWarningSeconds      int `toml:"clock_warning_seconds"`
		ClockErrorSeconds        int `toml:"clock_error_seconds"`
	} `toml:"local"`
}

// Thresholds reads thresholds.toml.
func (b *Base) Thresholds() (*Thresholds, error) { return load[Thresholds](b, "thresholds.toml") }
