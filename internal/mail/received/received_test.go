package received

import (
	"fmt"
	"strings"
	"testing"
)

// say writes the parts of a hop that are set, for comparison.
func say(h *Hop) string {
	var b strings.Builder
	put := func(k, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s=%s ", k, v)
		}
	}
	put("kind", string(h.Kind))
	put("family", h.Family)
	put("from", h.From)
	if h.IP.IsValid() {
		put("ip", h.IP.String())
	}
	put("rdns", h.RDNS)
	put("helo", h.HELO)
	put("by", h.By)
	put("with", h.With)
	put("via", h.Via)
	put("id", h.ID)
	put("for", h.For)
	put("env", h.EnvelopeFrom)
	put("tls", strings.TrimPrefix(h.TLSVersion+"/"+h.TLSCipher, "/"))
	put("auth", h.Auth)
	put("user", h.AuthUser)
	put("ident", h.Ident)
	if !h.Time.IsZero() {
		put("time", h.Time.UTC().Format("0102T150405"))
	}
	return strings.TrimSpace(b.String())
}

func TestFamilies(t *testing.T) {
	for _, c := range [][2]string{
		{"from mail.mine.example (mail.mine.example [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t(No client certificate requested)\r\n\t(Authenticated sender: li@mine.example)\r\n\tby mx.partner.example (Postfix) with ESMTPSA id 4XyZab1cdEz9sQ0\r\n\tfor <wang@partner.example>; Mon, 05 Feb 2024 10:00:00 +0800 (CST)",
			"kind=relay family=Postfix from=mail.mine.example ip=192.0.2.1 rdns=mail.mine.example helo=mail.mine.example by=mx.partner.example with=ESMTPSA id=4XyZab1cdEz9sQ0 for=wang@partner.example tls=TLSv1.3/TLS_AES_256_GCM_SHA384 auth=yes user=li@mine.example time=0205T020000"},
		{"by mail.mine.example (Postfix, from userid 1000) id 0A1B2C3D4E; Mon, 5 Feb 2024 10:00:00 +0800 (CST)",
			"kind=local family=Postfix by=mail.mine.example id=0A1B2C3D4E time=0205T020000"},
		{"from unknown (unknown [IPv6:2001:db8::25]) by mx.partner.example (Postfix) with ESMTP id 1234; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=relay family=Postfix from=unknown ip=2001:db8::25 helo=unknown by=mx.partner.example with=ESMTP id=1234 time=0205T020000"},
		{"from [192.0.2.9] (port=53214 helo=[10.0.0.2]) by mx.partner.example with esmtpsa  (TLS1.3) tls TLS_AES_128_GCM_SHA256 (Exim 4.96) (envelope-from <li@mine.example>) id 1rWxYz-000AbC-1D for wang@partner.example; Mon, 05 Feb 2024 02:00:00 +0000",
			"kind=relay family=Exim from=192.0.2.9 ip=192.0.2.9 helo=10.0.0.2 by=mx.partner.example with=ESMTPSA id=1rWxYz-000AbC-1D for=wang@partner.example env=li@mine.example tls=TLSv1.3/TLS_AES_128_GCM_SHA256 auth=ESMTPSA time=0205T020000"},
		{"from mail.mine.example ([192.0.2.1]:40212) by mx.partner.example with esmtps (TLS1.2:ECDHE_SECP256R1__RSA_SHA256__AES_256_GCM:256) (Exim 4.94.2) (envelope-from <li@mine.example>) id 1rWxYz-0000aB-Cd for wang@partner.example; Mon, 05 Feb 2024 02:00:00 +0000",
			"kind=relay family=Exim from=mail.mine.example ip=192.0.2.1 rdns=mail.mine.example helo=mail.mine.example by=mx.partner.example with=ESMTPS id=1rWxYz-0000aB-Cd for=wang@partner.example env=li@mine.example tls=TLSv1.2/ECDHE_SECP256R1__RSA_SHA256__AES_256_GCM auth= time=0205T020000"},
		{"from www-data by web.mine.example with local (Exim 4.96) (envelope-from <www-data@web.mine.example>) id 1rWxYz-0000aB-0K for wang@partner.example; Mon, 05 Feb 2024 02:00:00 +0000",
			"kind=local family=Exim from=www-data by=web.mine.example with=LOCAL id=1rWxYz-0000aB-0K for=wang@partner.example env=www-data@web.mine.example time=0205T020000"},
		{"from mail.mine.example (mail.mine.example [192.0.2.1] (may be forged)) by mx.partner.example (8.17.1/8.17.1) with ESMTPS id 415200xy012345 (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NOT) for <wang@partner.example>; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=relay family=Sendmail from=mail.mine.example ip=192.0.2.1 rdns=mail.mine.example helo=mail.mine.example by=mx.partner.example with=ESMTPS id=415200xy012345 for=wang@partner.example tls=TLSv1.3/TLS_AES_256_GCM_SHA384 time=0205T020000"},
		{"(from li@localhost) by mail.mine.example (8.17.1/8.17.1/Submit) id 4152001a012345; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=local family=Sendmail from=li@localhost by=mail.mine.example id=4152001a012345 time=0205T020000"},
		{"(qmail 12345 invoked by uid 1001); 5 Feb 2024 02:00:00 -0000", "kind=local family=qmail time=0205T020000"},
		{"from host.mine.example (HELO pc) (li@mine.example@192.0.2.1) by mx.partner.example with ESMTPA; 5 Feb 2024 02:00:00 -0000",
			"kind=relay from=host.mine.example ip=192.0.2.1 rdns=host.mine.example helo=pc by=mx.partner.example with=ESMTPA auth=ESMTPA ident=li@mine.example time=0205T020000"},
		{"from AM0PR01MB0001.eurprd01.prod.exchangelabs.com (2603:10a6:208:aa::1) by AS8PR01MB0002.eurprd01.prod.exchangelabs.com (2603:10a6:20b:bb::2) with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.7249.35 via Frontend Transport; Mon, 5 Feb 2024 02:00:00 +0000",
			"kind=relay family=Exchange from=AM0PR01MB0001.eurprd01.prod.exchangelabs.com ip=2603:10a6:208:aa::1 helo=AM0PR01MB0001.eurprd01.prod.exchangelabs.com by=AS8PR01MB0002.eurprd01.prod.exchangelabs.com with=SMTP via=Frontend Transport id=15.20.7249.35 tls=TLSv1.2/TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 time=0205T020000"},
		{"from EX1.corp.example (10.1.1.1) by EX2.corp.example (10.1.1.2) with Microsoft SMTP Server (TLS) id 14.3.123.3; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=relay family=Exchange from=EX1.corp.example ip=10.1.1.1 helo=EX1.corp.example by=EX2.corp.example with=SMTP id=14.3.123.3 time=0205T020000"},
		{"from EX1.corp.example ([fe80::1]) by EX1.corp.example ([fe80::1%12]) with mapi id 15.01.2507.035; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=relay family=Exchange from=EX1.corp.example ip=fe80::1 helo=EX1.corp.example by=EX1.corp.example with=mapi id=15.01.2507.035 time=0205T020000"},
		{"by 2002:a05:6a10:1234:b0:5a:4567:89ab with SMTP id x1csp123456pxx; Sun, 4 Feb 2024 18:00:00 -0800 (PST)",
			"kind=handover from= by=2002:a05:6a10:1234:b0:5a:4567:89ab with=SMTP id=x1csp123456pxx time=0205T020000"},
		{"from mail-sor-f41.google.com (mail-sor-f41.google.com. [209.85.220.41]) by mx.google.com with SMTPS id a1-20020a0000sor123.1.2024.02.04.18.00.00 for <wang@partner.example> (Google Transport Security); Sun, 04 Feb 2024 18:00:00 -0800 (PST)",
			"kind=relay family=Google from=mail-sor-f41.google.com ip=209.85.220.41 rdns=mail-sor-f41.google.com helo=mail-sor-f41.google.com by=mx.google.com with=SMTPS id=a1-20020a0000sor123.1.2024.02.04.18.00.00 for=wang@partner.example time=0205T020000"},
		{"from 123456789 named unknown by gmailapi.google.com with HTTPREST; Sun, 4 Feb 2024 18:00:00 -0800", "kind=web family=Google from=123456789 by=gmailapi.google.com with=HTTPREST auth=HTTP time=0205T020000"},
		{"from pc ([::ffff:192.0.2.1]) (AUTH: PLAIN li@mine.example, TLS: TLSv1.2,128bits,ECDHE-RSA-AES128-GCM-SHA256) by mx.mine.example with ESMTPSA; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay from=pc ip=192.0.2.1 helo=pc by=mx.mine.example with=ESMTPSA tls=TLSv1.2/ECDHE-RSA-AES128-GCM-SHA256 auth=PLAIN user=li@mine.example time=0205T020000"},
		{"from mail.mine.example (unknown [192.0.2.1]) by mx1 (Coremail) with SMTP id AQAAfwBXYZ12345.6S2; Mon, 05 Feb 2024 10:00:00 +0800 (CST)",
			"kind=relay family=Coremail from=mail.mine.example ip=192.0.2.1 helo=mail.mine.example by=mx1 with=SMTP id=AQAAfwBXYZ12345.6S2 time=0205T020000"},
		{"from zhang$163.com ( [192.0.2.77] ) by ajax-webmail-wmsvr-40-101 (Coremail) ; Mon, 5 Feb 2024 10:00:00 +0800 (CST)",
			"kind=web family=Coremail from=zhang$163.com ip=192.0.2.77 by=ajax-webmail-wmsvr-40-101 auth=HTTP user=zhang@163.com time=0205T020000"},
		{"from mail.mine.example (unknown [192.0.2.1]) by newxmmxszc6-1.qq.com (NewMX) with SMTP id 1A2B3C; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay family=QQ from=mail.mine.example ip=192.0.2.1 helo=mail.mine.example by=newxmmxszc6-1.qq.com with=SMTP id=1A2B3C time=0205T020000"},
		{"from 192.0.2.5(mailfrom:li@mine.example fp:SMTPD_---.W0Ab cluster:ay36a) by smtp.aliyun-inc.com; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay family=Aliyun from=192.0.2.5 ip=192.0.2.5 helo=192.0.2.5 by=smtp.aliyun-inc.com env=li@mine.example time=0205T020000"},
		{"from mail.mine.example ([192.0.2.1]) by dom1.partner.example (IBM Domino Release 9.0.1FP10) with ESMTP id 2024020510000012-3456 ; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=relay family=Domino from=mail.mine.example ip=192.0.2.1 helo=mail.mine.example by=dom1.partner.example with=ESMTP id=2024020510000012-3456 time=0205T020000"},
		{"from [192.0.2.1] (account li@mine.example HELO pc.mine.example) by mine.example (CommuniGate Pro SMTP 6.3) with ESMTPSA id 123 for wang@partner.example; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay family=CommuniGate from=192.0.2.1 ip=192.0.2.1 helo=pc.mine.example by=mine.example with=ESMTPSA id=123 for=wang@partner.example auth=yes user=li@mine.example time=0205T020000"},
		{"from mx.mine.example (LHLO mx.mine.example) (192.0.2.1) by mbox.mine.example with LMTP; Mon, 5 Feb 2024 10:00:00 +0800 (CST)",
			"kind=relay from=mx.mine.example ip=192.0.2.1 rdns=mx.mine.example helo=mx.mine.example by=mbox.mine.example with=LMTP time=0205T020000"},
		{"from mail.mine.example by mx.partner.example (MDaemon PRO v23.5.1) with ESMTPS id md5001000123456.msg; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=handover family=MDaemon from=mail.mine.example helo=mail.mine.example by=mx.partner.example with=ESMTPS id=md5001000123456.msg time=0205T020000"},
		{"from mail.mine.example (mail.mine.example [192.0.2.1]) by mx.partner.example with ESMTPS (version=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256) ; Mon, 5 Feb 2024 10:00:00 +0800",
			"kind=relay from=mail.mine.example ip=192.0.2.1 rdns=mail.mine.example helo=mail.mine.example by=mx.partner.example with=ESMTPS tls=TLSv1.2/ECDHE-RSA-AES256-GCM-SHA384 time=0205T020000"},
		{"from pc (host.isp.example [192.0.2.1]) by mx.mine.example (Haraka/3.0.2) with ESMTPSA id 6A6B-1.1 envelope-from <li@mine.example> tls TLS_AES_256_GCM_SHA384 (authenticated bits=0); Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay family=Haraka from=pc ip=192.0.2.1 rdns=host.isp.example helo=pc by=mx.mine.example with=ESMTPSA id=6A6B-1.1 env=li@mine.example tls=TLS_AES_256_GCM_SHA384 auth=yes time=0205T020000"},
		{"from pc (host.isp.example [192.0.2.1]) by mx.mine.example (OpenSMTPD) with ESMTPSA id 9a8b7c6d (TLSv1.3:TLS_CHACHA20_POLY1305_SHA256:256:NO) auth=yes user=li for <wang@partner.example>; Mon, 5 Feb 2024 10:00:00 +0800 (CST)",
			"kind=relay family=OpenSMTPD from=pc ip=192.0.2.1 rdns=host.isp.example helo=pc by=mx.mine.example with=ESMTPSA id=9a8b7c6d for=wang@partner.example tls=TLSv1.3/TLS_CHACHA20_POLY1305_SHA256 auth=yes user=li time=0205T020000"},
		{"from pop.isp.example [192.0.2.110] by pc.mine.example with POP3 (fetchmail-6.4.37) for <li@localhost> (single-drop); Mon, 05 Feb 2024 10:00:00 +0800 (CST)",
			"kind=fetch family=fetchmail from=pop.isp.example ip=192.0.2.110 helo=pop.isp.example by=pc.mine.example with=POP3 for=li@localhost time=0205T020000"},
		{"from mx.mine.example ([10.0.0.1]) by mbox.mine.example with LMTP id kBxyEAB1wGV0AAAA (envelope-from <li@mine.example>) for <wang@mine.example>; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay from=mx.mine.example ip=10.0.0.1 helo=mx.mine.example by=mbox.mine.example with=LMTP id=kBxyEAB1wGV0AAAA for=wang@mine.example env=li@mine.example time=0205T020000"},
		{"from mail.mine.example (192.0.2.1) by mta.partner.example id h1abc20171gs for <wang@partner.example>; Mon, 5 Feb 2024 10:00:00 +0800 (envelope-from <li@mine.example>)",
			"kind=relay from=mail.mine.example ip=192.0.2.1 helo=mail.mine.example by=mta.partner.example id=h1abc20171gs for=wang@partner.example env=li@mine.example time=0205T020000"},
		{"from unknown (HELO mail.mine.example) ([192.0.2.1]) by esa1.partner.iphmx.com with ESMTP/TLS/ECDHE-RSA-AES256-GCM-SHA384; 05 Feb 2024 10:00:00 +0800",
			"kind=relay family=IronPort from=unknown ip=192.0.2.1 helo=mail.mine.example by=esa1.partner.iphmx.com with=ESMTP tls=ECDHE-RSA-AES256-GCM-SHA384 time=0205T020000"},
		{"from mail.mine.example (mail.mine.example [192.0.2.1]) (Using TLS) by us-smtp-1.mimecast.com with ESMTP id us-mta-1-AbC; Mon, 05 Feb 2024 10:00:00 +0800",
			"kind=relay family=Mimecast from=mail.mine.example ip=192.0.2.1 rdns=mail.mine.example helo=mail.mine.example by=us-smtp-1.mimecast.com with=ESMTP id=us-mta-1-AbC time=0205T020000"},
		{"from unknown (HELO mail.mine.example) (192.0.2.1) by server-4.tower-1.messagelabs.com with AES256-SHA encrypted SMTP; 5 Feb 2024 02:00:00 -0000",
			"kind=relay family=Symantec from=unknown ip=192.0.2.1 helo=mail.mine.example by=server-4.tower-1.messagelabs.com with=SMTP tls=AES256-SHA time=0205T020000"},
		{"from mail.mine.example (mail.mine.example [192.0.2.1]) by barracuda.partner.example with ESMTP id AbCdEf.1 (version=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256 verify=NO) for <wang@partner.example>; Mon, 05 Feb 2024 10:00:00 +0800 (CST)",
			"kind=relay family=Barracuda from=mail.mine.example ip=192.0.2.1 rdns=mail.mine.example helo=mail.mine.example by=barracuda.partner.example with=ESMTP id=AbCdEf.1 for=wang@partner.example tls=TLSv1.2/ECDHE-RSA-AES256-GCM-SHA384 time=0205T020000"},
		{"from SVR1.corp.example (SVR1) by SYSA.corp.example (SYSA ) for <OPS@SVR1> with ESMTP (IBM CSSMTP z/OS V02R04.00) Id SYSA.20240205.020000.1@corp.example ; Mon, 05 Feb 2024 02:00:00 +0000",
			"kind=handover family=IBM z/OS from=SVR1.corp.example helo=SVR1.corp.example by=SYSA.corp.example with=ESMTP id=SYSA.20240205.020000.1@corp.example for=OPS@SVR1 time=0205T020000"},
		{"from pc (/192.0.2.4) by default (Oracle Beehive Gateway v4.0) with ESMTP ; Sun, 04 Feb 2024 18:00:00 -0800", "kind=relay from=pc ip=192.0.2.4 helo=pc by=default with=ESMTP time=0205T020000"},
		{"from mail pickup service by hotmail.com with Microsoft SMTPSVC; Mon, 5 Feb 2024 02:00:00 +0000", "kind=local family=Microsoft SMTPSVC from=mail pickup service by=hotmail.com with=SMTP time=0205T020000"},
		{"from mail.mine.example (192.0.2.1) by mx.zohomail.com with SMTPS id 1707098400000123.456; Sun, 4 Feb 2024 18:00:00 -0800 (PST)",
			"kind=relay family=Zoho from=mail.mine.example ip=192.0.2.1 helo=mail.mine.example by=mx.zohomail.com with=SMTPS id=1707098400000123.456 time=0205T020000"},
		{"from 127.0.0.1 (EHLO mail.mine.example) (192.0.2.1) by atlas101.bf1.yahoo.com with SMTPs; Mon, 5 Feb 2024 02:00:00 +0000",
			"kind=relay family=Yahoo from=127.0.0.1 ip=192.0.2.1 helo=mail.mine.example by=atlas101.bf1.yahoo.com with=SMTPS time=0205T020000"},
	} {
		want := strings.Join(dropEmpty(strings.Split(c[1], " ")), " ")
		if got := say(Parse(c[0])); got != want {
			t.Errorf("%s\n got  %s\n want %s", c[0], got, want)
		}
	}
}

func dropEmpty(ws []string) []string {
	var out []string
	for _, w := range ws {
		if !strings.HasSuffix(w, "=") {
			out = append(out, w)
		}
	}
	return out
}

func TestUnread(t *testing.T) {
	for _, s := range []string{"", "hello world", ";;;;", "(((", "]]>", "Received:"} {
		if h := Parse(s); h.Relay || h.IP.IsValid() {
			t.Errorf("%q was read as a relay: %s", s, say(h))
		}
	}
}

func TestLongFieldIsCut(t *testing.T) {
	h := Parse("from a (" + strings.Repeat("(x ", 1<<20))
	if !h.Cut || len(h.Raw) > MaxField {
		t.Errorf("cut %v, %d bytes kept", h.Cut, len(h.Raw))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("from a.example (b.example [192.0.2.1]) by c.example (Postfix) with ESMTPS id 1; Mon, 5 Feb 2024 10:00:00 +0800")
	f.Add("from [192.0.2.9] (port=5 helo=[10.0.0.2]) by x with esmtpsa (TLS1.3) tls TLS_AES_128_GCM_SHA256 (Exim 4.96) id 1rWxYz-000AbC-1D")
	f.Add("(qmail 1 invoked from network[192.0.2.1/a.example]); 8 Mar 2004 23:59:05 -0000")
	f.Add("from a (AUTH: PLAIN u@d, TLS: TLSv1.2,128bits,X) by b with =?utf-8?q?x?=;")
	f.Fuzz(func(t *testing.T, s string) {
		h := Parse(s)
		if h.Relay != (h.IP.IsValid() && (h.Kind == Relay || h.Kind == Web)) {
			t.Fatal("Relay does not agree with Kind and IP")
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const s = "from mail.mine.example (mail.mine.example [192.0.2.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) by mx.partner.example (Postfix) with ESMTPS id 4XyZ for <wang@partner.example>; Mon, 05 Feb 2024 10:00:00 +0800 (CST)"
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Parse(s)
	}
}
