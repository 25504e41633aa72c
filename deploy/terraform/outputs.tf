output "cluster_name" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = aws_eks_cluster.this.name
}

output "secret_name" {
  description = "The secret whose keys become the Kubernetes secret tollgate-secrets."
  value       = aws_secretsmanager_secret.this.name
}

output "file_system_id" {
  description = "For the storage class `efs` (parameter fileSystemId)."
  value       = aws_efs_file_system.this.id
}

output "mlflow_bucket" {
  description = "For MLflow's --artifacts-destination."
  value       = "s3://${aws_s3_bucket.this["mlflow"].bucket}/artifacts"
}

output "database_address" {
  description = "The ledger's host name, inside the VPC."
  value       = aws_db_instance.this.address
}

output "vpc_id" {
  description = "For the load balancer controller."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Where nodes, database and file system are."
  value       = aws_subnet.private[*].id
}
