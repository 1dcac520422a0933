package demo

import (
	"fmt"
	"strings"
	"time"
)

// Newsletter is a message as a shop might send it, with faults that a filter sees: no signature, no way to unsubscribe, a
// link that says another address than it leads to.
func Newsletter(to string, now time.Time) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: Mine Shop <newsletter@mine.example>
To: <%s>
Subject: Offers of the week: 50%% off, only today!!!
Date: %s
Message-ID: <%d.offers@out1.mine.example>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<html><body><p>Dear customer,</p>
<p>our <b>best offers</b> are here: <a href="http://203.0.113.66/o?id=1">https://shop.mine.example/offers</a></p>
<img src="http://203.0.113.66/banner.gif" width="600" height="400">
</body></html>
`, to, now.Format(time.RFC1123Z), now.UnixNano()), "\n", "\r\n")
}
