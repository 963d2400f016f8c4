#!/usr/bin/env python3
"""Deletes this node's pods that a shutdown of the machine has ended and whose controllers have replaced them since.

The kubelet ends pods before the machine goes down, and reports them as Succeeded or Failed, after their exit codes. Nothing
runs in them again, and Kubernetes keeps listing them. Pods without a controller stay listed, because nothing replaces them.
Usage: forget-ended-pods.py API-SERVER NODE
"""
import json
import ssl
import sys
import urllib.error
import urllib.request

PKI = "/etc/kubernetes/pki"
SHUTDOWN = "node shutdown"  # in the kubelet's message: pkg/kubelet/nodeshutdown

server, node = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{PKI}/kubernetes-ca.pem")
context.load_cert_chain(f"{PKI}/kubelet.pem", f"{PKI}/kubelet-key.pem")


def request(method, path):
    asked = urllib.request.Request(f"https://{server}:6443{path}", method=method)
    with urllib.request.urlopen(asked, context=context, timeout=10) as response:
        return json.load(response)


def ended(pod):
    status = pod["status"]
    terminated = any(
        condition["type"] == "DisruptionTarget" and SHUTDOWN in condition.get("message", "")
        for condition in status.get("conditions", [])
    )
    rejected = status.get("reason") == "NodeShutdown"
    controlled = any(owner.get("controller") for owner in pod["metadata"].get("ownerReferences", []))
    return controlled and status["phase"] in ("Succeeded", "Failed") and (terminated or rejected)


for pod in filter(ended, request("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")["items"]):
    metadata = pod["metadata"]
    try:
        request("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
    print(f"{metadata['namespace']}/{metadata['name']} had ended with the machine")
