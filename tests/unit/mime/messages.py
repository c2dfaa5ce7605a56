"""Hand-made messages for the tests of this folder."""

from __future__ import annotations


def message(header: str | bytes, body: str | bytes = "") -> bytes:
    """Return a CRLF message of header lines and a body written with LF; text is UTF-8."""
    raw_header = header.encode() if isinstance(header, str) else header
    raw_body = body.encode() if isinstance(body, str) else body
    return (raw_header.strip(b"\n") + b"\n\n" + raw_body).replace(b"\n", b"\r\n")


MULTIPART = message(
    """
From: "Doe, Jane" <jane@example.org>
To: Ann <ann@example.net>, friends: bob@example.net, "C. D." <cd@example.net>;
Cc: joe@example.com (Joe)
Subject: Re: [list] figures
Date: Fri, 3 Oct 2025 12:00:00 +0900
Message-ID: <2@example.org>
In-Reply-To: <1@example.org>
References: <0@example.org>
\t<1@example.org>
Received: from a by b; Fri, 3 Oct 2025 12:00:01 +0900
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"
""",
    """preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8

Grüße
zwei
--inner
Content-Type: text/html; charset=utf-8

<p>Gr&uuml;&szlig;e</p>
--inner--

--outer
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="a.pdf"; size=6
Content-Transfer-Encoding: base64
Content-ID: <cid@x>

aGVsbG8h
--outer
Content-Type: message/rfc822

Subject: inside
From: in@example.org

inner body
--outer--
epilogue
""",
)
