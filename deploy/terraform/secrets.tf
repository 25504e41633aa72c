# Keys of the HTTP API that exist before any other: one that opens everything, one for Prometheus.
resource "random_password" "admin_key" {
  length  = 64
  special = false
}

resource "random_password" "metrics_key" {
  length  = 64
  special = false
}

# What the Kubernetes secret `tollgate-secrets` holds, in one place that operators may read (docs/deployment.md).
locals {
  broker_host   = var.broker == "elasticache" ? one(aws_elasticache_replication_group.this[*].primary_endpoint_address) : "valkey"
  broker_scheme = var.broker == "elasticache" ? "rediss" : "redis"

  # kombu asks for TLS by this option, redis-py by the scheme.
  broker_options = var.broker == "elasticache" ? "?ssl_cert_reqs=required" : ""

  secrets = {
    admin-key                = random_password.admin_key.result
    metrics-key              = random_password.metrics_key.result
    valkey-password          = random_password.broker.result
    valkey-exporter-password = random_password.broker_exporter.result
    redis-url                = "${local.broker_scheme}://tollgate:${random_password.broker.result}@${local.broker_host}:6379/0${local.broker_options}"
    exporter-redis-url       = "${local.broker_scheme}://exporter:${random_password.broker_exporter.result}@${local.broker_host}:6379/0${local.broker_options}"
    database-url             = "postgresql+psycopg://tollgate:${random_password.database.result}@${aws_db_instance.this.address}:5432/tollgate?sslmode=require"
  }
}

resource "aws_secretsmanager_secret" "this" {
  name       = "${var.name}/kubernetes"
  kms_key_id = aws_kms_key.this.arn
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id     = aws_secretsmanager_secret.this.id
  secret_string = jsonencode(local.secrets)
}
