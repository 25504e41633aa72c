variable "region" {
  description = "AWS region, for example eu-central-1."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
  default     = "tollgate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "A lower-case letter, then up to 20 lower-case letters, digits and hyphens."
  }
}

variable "tags" {
  description = "Tags of every resource, besides Application and ManagedBy."
  type        = map(string)
  default     = {}
}

variable "vpc_cidr" {
  description = "Address range of the VPC; deploy/kubernetes/overlays/production/network-policies.yaml names it too."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && tonumber(split("/", var.vpc_cidr)[1]) <= 18
    error_message = "An IPv4 range of at least /18: it is cut into two subnets a zone."
  }
}

variable "zone_count" {
  description = "Availability zones to use."
  type        = number
  default     = 3

  validation {
    condition     = var.zone_count >= 2 && var.zone_count <= 4
    error_message = "Two to four: the database and the balancer need two."
  }
}

variable "kubernetes_version" {
  description = "EKS version; the manifests need 1.31 or later (matchLabelKeys in pod affinity)."
  type        = string
  default     = "1.34"
}

variable "api_access_cidrs" {
  description = "Where the cluster's public API endpoint may be reached from; empty: only from inside the VPC."
  type        = list(string)
  default     = []
}

variable "node_instance_type" {
  description = "Worker nodes. Scoring is bound by the processor: compute-optimised, one scoring worker a core."
  type        = string
  default     = "c7i.xlarge"
}

variable "node_count" {
  description = "Nodes at least, at first, and at most."
  type = object({
    min     = number
    desired = number
    max     = number
  })
  default = { min = 3, desired = 3, max = 10 }

  validation {
    condition     = var.node_count.min <= var.node_count.desired && var.node_count.desired <= var.node_count.max
    error_message = "min <= desired <= max."
  }
}

variable "database_instance_class" {
  description = "The ledger's PostgreSQL."
  type        = string
  default     = "db.m7g.large"
}

variable "database_storage_gb" {
  description = "The ledger's disk, in GB: at first, and the most that it grows to."
  type = object({
    initial = number
    max     = number
  })
  default = { initial = 100, max = 1000 }
}

variable "database_backup_days" {
  description = "How long point-in-time recovery reaches back."
  type        = number
  default     = 14
}

variable "broker" {
  description = <<-EOT
    Where the broker runs. `in-cluster`: Valkey as deploy/kubernetes starts it, on an EBS volume, its append-only file
    synced on every write: what is acknowledged survives. `elasticache`: managed, two zones, no append-only file: a
    failover can lose the last writes that were acknowledged (docs/aws-deployment-overview.md).
  EOT
  type        = string
  default     = "in-cluster"

  validation {
    condition     = contains(["in-cluster", "elasticache"], var.broker)
    error_message = "in-cluster or elasticache."
  }
}

variable "broker_node_type" {
  description = "ElastiCache nodes, when broker = elasticache."
  type        = string
  default     = "cache.r7g.large"
}

variable "deletion_protection" {
  description = "Whether the database refuses to be destroyed and keeps a last snapshot."
  type        = bool
  default     = true
}
