package dsn

import (
	"encoding/json"
	"strings"
)

// sesNotification is what Amazon SES sends through SNS: bounces, complaints and deliveries as JSON.
type sesNotification struct {
	Type    string `json:"Type"`
	Message string `json:"Message"`
	Kind    string `json:"notificationType"`
	Event   string `json:"eventType"`
	Bounce  *struct {
		Type       string `json:"bounceType"`
		SubType    string `json:"bounceSubType"`
		MTA        string `json:"reportingMTA"`
		Recipients []struct {
			Address    string `json:"emailAddress"`
			Action     string `json:"action"`
			Status     string `json:"status"`
			Diagnostic string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint *struct {
		Type       string `json:"complaintFeedbackType"`
		Agent      string `json:"userAgent"`
		Recipients []struct {
			Address string `json:"emailAddress"`
		} `json:"complainedRecipients"`
	} `json:"complaint"`
	Delivery *struct {
		Recipients []string `json:"recipients"`
		Response   string   `json:"smtpResponse"`
		MTA        string   `json:"reportingMTA"`
	} `json:"delivery"`
	Mail struct {
		Source string `json:"source"`
		Common struct {
			Subject string   `json:"subject"`
			From    []string `json:"from"`
			To      []string `json:"to"`
			ID      string   `json:"messageId"`
		} `json:"commonHeaders"`
	} `json:"mail"`
}

// notification reads a JSON notification; false where the text is none.
func (r *reader) notification(text string) bool {
	var n sesNotification
	text = strings.TrimSpace(text)
	if json.NewDecoder(strings.NewReader(text)).Decode(&n) != nil {
		n = sesNotification{} // a relay may have cut the long line: "!" and a line end, or a folding
		joined := strings.NewReplacer("!\n ", "", "\n ", "").Replace(strings.Replace(text, "{\n ", "{", 1))
		if json.NewDecoder(strings.NewReader(joined)).Decode(&n) != nil {
			return false
		}
	}
	if n.Message != "" && n.Kind == "" {
		inner := n.Message
		n = sesNotification{}
		if json.Unmarshal([]byte(inner), &n) != nil {
			return false
		}
	}
	if n.Bounce == nil && n.Complaint == nil && n.Delivery == nil {
		return false
	}
	rep := r.rep
	rep.Form, rep.Software = "ses-notification", "Amazon SES"
	rep.Original = Original{ReturnPath: n.Mail.Source, Subject: n.Mail.Common.Subject, MessageID: n.Mail.Common.ID, From: strings.Join(n.Mail.Common.From, ", "), To: strings.Join(n.Mail.Common.To, ", ")}
	switch {
	case n.Bounce != nil:
		rep.Kind, rep.ReportingMTA = Bounce, hostIn(afterType(n.Bounce.MTA))
		for _, b := range n.Bounce.Recipients {
			t, d := splitType(b.Diagnostic)
			r.add(Recipient{Address: b.Address, Action: strings.ToLower(b.Action), Status: statusIn(b.Status), Diagnostic: d, DiagType: t, Named: true, Text: n.Bounce.Type + " " + n.Bounce.SubType, Evidence: []Line{{Text: b.Diagnostic}}})
		}
	case n.Complaint != nil:
		rep.Kind, rep.Complaint = Complaint, map[string]string{"feedback-type": n.Complaint.Type, "user-agent": n.Complaint.Agent}
		for _, c := range n.Complaint.Recipients {
			r.add(Recipient{Address: c.Address, Named: true, Diagnostic: n.Complaint.Type})
		}
	default:
		rep.Kind, rep.ReportingMTA = Success, hostIn(n.Delivery.MTA)
		for _, a := range n.Delivery.Recipients {
			r.add(Recipient{Address: a, Action: "delivered", Diagnostic: n.Delivery.Response, Named: true, Evidence: []Line{{Text: n.Delivery.Response}}})
		}
	}
	return true
}
