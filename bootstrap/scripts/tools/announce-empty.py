#!/usr/bin/env python3
"""Announces to the other control-plane machines that this one has no etcd data, until etcd takes over the port.

Serves a word (`empty`, or `lost` if there was data before) on the peer port (2380), at the path under which etcd lists its
members, and only to clients with a certificate of the etcd CA. Usage: announce-empty.py ADDRESS WORD
"""
import http.server
import ssl
import sys


class Empty(http.server.BaseHTTPRequestHandler):
    timeout = 2  # members that are already running connect and stay silent, and must not keep others waiting

    def do_GET(self):
        found = self.path == "/members"
        body = f"{sys.argv[2]}\n".encode() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    def finish_request(self, request, client_address):
        request.settimeout(2)
        with context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        pass  # a rejected handshake is the other side's problem


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="/etc/etcd/etcd-ca.pem")
context.load_cert_chain("/etc/etcd/etcd.pem", "/etc/etcd/etcd-key.pem")
context.verify_mode = ssl.CERT_REQUIRED
Server((sys.argv[1], 2380), Empty).serve_forever()
