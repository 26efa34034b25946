"""`litellm-drill`: what would a gateway's own config.yaml do in an outage?

cli.py         the command, its options and exit codes
document.py    a file and what it includes, as a tree that knows the line of each value
config.py      the tree as model groups, settings and fallbacks
release.py     which settings and models the installed LiteLLM knows, read from its files
finding.py     what a rule is, and what it finds
*_rules.py     the rules, by subject; rules.py is the table of them all
report.py      findings as text, JSON or SARIF

and of `run`:

plan.py        what is drilled, and what can go side by side; providers.py what can have a stand-in
copied.py      the copy of a config, without its hosts, keys and sinks
stand_in.py    the servers in the place of its deployments; formats.py what they say
gateway.py     the proxy's process, which runs gateway_process.py
drill.py       breaks and asks; outcome.py what came of it
drill_report.py, page.py  the same as a table, JSON, JUnit's XML and a page

The package stands beside litellm, not in it: importing `litellm` takes seconds and asks the network for prices. Nothing
here imports it, but the process that is drilled. `check` opens no socket and reads no value of an environment variable.
"""
