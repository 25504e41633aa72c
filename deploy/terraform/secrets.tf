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
  broker_host = var.broker == "elasticache" ? one(aws_elasticache_replication_group.this[*].primary_endpoint_address) : "valkey"

  # ElastiCache's certificate is Amazon's, which every system trusts; Valkey's is of the cluster's own authority.
  broker_options = "ssl_cert_reqs=required&ssl_check_hostname=true${var.broker == "elasticache" ? "" : "&ssl_ca_certs=/authority/ca.crt"}"

  secrets = {
    admin-key                = random_password.admin_key.result
    metrics-key              = random_password.metrics_key.result
    valkey-password          = random_password.broker.result
    valkey-web-password      = random_password.broker_web.result
    valkey-exporter-password = random_password.broker_exporter.result
    redis-url                = "rediss://tollgate:${random_password.broker.result}@${local.broker_host}:6379/0?${local.broker_options}"
    web-redis-url            = "rediss://web:${random_password.broker_web.result}@${local.broker_host}:6379/0?${local.broker_options}"
    exporter-redis-url       = "rediss://exporter:${random_password.broker_exporter.result}@${local.broker_host}:6379/0?${local.broker_options}"
    database-url             = "postgresql+psycopg://tollgate:${random_password.database.result}@${aws_db_instance.this.address}:5432/tollgate?sslmode=verify-full&sslrootcert=/authority/database-ca.crt"
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
