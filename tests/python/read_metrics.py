"""Reads OpenMetrics with the reference parser, which refuses what the format forbids: read_metrics.py URL"""

import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

text = urllib.request.urlopen(sys.argv[1]).read().decode()
families = list(text_string_to_metric_families(text))
assert len(families) > 40, families
for family in families:
    assert family.documentation, family.name
    assert family.samples, family.name
print(len(families))
