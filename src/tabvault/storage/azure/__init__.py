"""Backup storage in a container of an Azure storage account: block blobs behind the storage contract."""
