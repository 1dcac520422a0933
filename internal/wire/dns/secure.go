package dns

import (
	"context"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

type anchor struct{}

type zoneMemory struct{}

func newZoneMemory(int) *zoneMemory { return &zoneMemory{} }

func readAnchors([]string) ([]anchor, error) { return nil, nil }

func (c *Client) secure(ctx context.Context, a *mail.Answer, m *miekg.Msg) {}
