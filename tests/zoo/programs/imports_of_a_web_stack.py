"""Healthy: one big import of network and text modules in the middle of the run."""

from support.pace import STEPS, rng, ticks


def start_server():
    import email.mime.multipart
    import html.parser
    import http.server
    import ssl
    import urllib.request
    import xml.dom.minidom
    import xml.sax

    modules = (email.mime.multipart, html.parser, http.server, ssl, urllib.request, xml.sax)
    return xml.dom.minidom.parseString("<a><b/></a>"), modules


def main():
    for i in ticks():
        if i == int(STEPS * 0.35):
            start_server()
        sorted(rng.random() for _ in range(100))


if __name__ == "__main__":
    main()
