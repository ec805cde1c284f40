"""Reads pages, and answers each with a line of JSON: what Prometheus' parsers find in it.

A page comes behind a line with its format and its length in bytes.
"""

import json
import sys

from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client import parser as text

PARSERS = {"text": text, "open_metrics": open_metrics}


def answer(format, page):
    try:
        families = list(PARSERS[format].text_string_to_metric_families(page))
    except ValueError as error:
        return {"error": str(error)}
    return {
        "families": [
            {"name": of.name, "kind": of.type, "help": of.documentation} for of in families
        ],
        "samples": [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for of in families
            for sample in of.samples
        ],
    }


while head := sys.stdin.buffer.readline():
    format, length = head.split()
    page = sys.stdin.buffer.read(int(length)).decode()
    print(json.dumps(answer(format.decode(), page)), flush=True)
