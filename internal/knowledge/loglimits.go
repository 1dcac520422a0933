package knowledge

import "github.com/pelletier/go-toml/v2"

// LogLimits tell when the numbers of a log are worth a finding. Rates are per clock hour unless the name says otherwise.
type LogLimits struct {
	Checked               toml.LocalDate `toml:"checked"`
	BounceBurstMin        int64          `toml:"bounce_burst_min"`
	BounceBurstFactor     float64        `toml:"bounce_burst_factor"`
	DeferralWaveMin       int64          `toml:"deferral_wave_min"`
	DeferralWaveShare     float64        `toml:"deferral_wave_share"`
	AcceptanceMinAttempts int64          `toml:"acceptance_min_attempts"`
	AcceptanceWarning     float64        `toml:"acceptance_warning"`
	AcceptanceDrop        float64        `toml:"acceptance_drop"`
	SilentMedianMin       int64          `toml:"silent_median_min"`
	QueueGrowthMin        int64          `toml:"queue_growth_min"`
	QueueGrowthHours      int            `toml:"queue_growth_hours"`
	BruteForceMin         int64          `toml:"brute_force_min"`
	BruteForceNetworkMin  int64          `toml:"brute_force_network_min"`
	SprayingAccountsMin   int            `toml:"spraying_accounts_min"`
	CompromisedNetworks   int            `toml:"compromised_networks_min"`
	CompromisedBurstMin   int64          `toml:"compromised_burst_min"`
	TravelKmhMax          float64        `toml:"travel_kmh_max"`
	TravelKmMin           float64        `toml:"travel_km_min"`
	RelayAttemptsMin      int64          `toml:"relay_attempts_min"`
	TLSFailedShare        float64        `toml:"tls_failed_share"`
	TLSFailedMin          int64          `toml:"tls_failed_min"`
	TLSDropMin            int64          `toml:"tls_drop_min"`
	TLSDropFrom           float64        `toml:"tls_drop_from"`
	TLSDropTo             float64        `toml:"tls_drop_to"`
	TLSDropHours          int            `toml:"tls_drop_hours"`
	ResourceWords         []string       `toml:"resource_words"`
	DyingWords            []string       `toml:"dying_words"`
	RelayCauses           []string       `toml:"relay_causes"`
	WaitingCauses         []string       `toml:"waiting_causes"`
	NotTried              struct {
		Words []string `toml:"words"`
		Name  Text     `toml:"name"`
	} `toml:"not_tried"`
}

// LogLimits reads loglimits.toml.
func (b *Base) LogLimits() (*LogLimits, error) { return load[LogLimits](b, "loglimits.toml") }
