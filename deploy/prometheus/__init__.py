"""What Prometheus is told: scrape configuration, recording rules, alerts. Written in Python, read from rules.yml."""
