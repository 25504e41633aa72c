# Who may connect to what holds data: the cluster's nodes and pods, nobody else.
locals {
  cluster_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id

  # name -> port of a store that the cluster uses
  stores = merge(
    { database = 5432, files = 2049 },
    var.broker == "elasticache" ? { broker = 6379 } : {},
  )
}

resource "aws_security_group" "store" {
  for_each = local.stores

  name        = "${var.name}-${each.key}"
  description = "Tollgate: ${each.key}, from the cluster only"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "store" {
  for_each = local.stores

  security_group_id            = aws_security_group.store[each.key].id
  description                  = "From the cluster's nodes and pods"
  referenced_security_group_id = local.cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}
