# What the control plane, the nodes and single pods may do in AWS.
data "aws_iam_policy_document" "trust" {
  for_each = {
    cluster = ["eks.amazonaws.com", "sts:AssumeRole"]
    node    = ["ec2.amazonaws.com", "sts:AssumeRole"]
    pod     = ["pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"]
  }

  statement {
    actions = slice(each.value, 1, length(each.value))

    principals {
      type        = "Service"
      identifiers = [each.value[0]]
    }
  }
}

resource "aws_iam_role" "cluster" {
  name               = "${var.name}-cluster"
  assume_role_policy = data.aws_iam_policy_document.trust["cluster"].json
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "node" {
  name               = "${var.name}-node"
  assume_role_policy = data.aws_iam_policy_document.trust["node"].json
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset([
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
  ])

  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

# Add-ons that act in AWS, and MLflow, which writes its artefacts to a bucket.
resource "aws_iam_role" "pod" {
  for_each = toset(["aws-ebs-csi-driver", "aws-efs-csi-driver", "mlflow"])

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust["pod"].json
}

resource "aws_iam_role_policy_attachment" "pod" {
  for_each = {
    aws-ebs-csi-driver = "AmazonEBSCSIDriverPolicy"
    aws-efs-csi-driver = "AmazonEFSCSIDriverPolicy"
  }

  role       = aws_iam_role.pod[each.key].name
  policy_arn = "arn:aws:iam::aws:policy/service-role/${each.value}"
}

data "aws_iam_policy_document" "mlflow" {
  statement {
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this["mlflow"].arn]
  }

  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this["mlflow"].arn}/*"]
  }

  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}

resource "aws_iam_role_policy" "mlflow" {
  name   = "artefacts"
  role   = aws_iam_role.pod["mlflow"].id
  policy = data.aws_iam_policy_document.mlflow.json
}

resource "aws_eks_pod_identity_association" "mlflow" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = "tollgate"
  service_account = "mlflow"
  role_arn        = aws_iam_role.pod["mlflow"].arn
}
