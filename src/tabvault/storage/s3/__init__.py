"""Backup storage in a bucket of a service that speaks S3, behind the storage contract."""
