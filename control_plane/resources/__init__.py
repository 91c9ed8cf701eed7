"""The kernel of the control plane: what versioned assets, endpoints, deployments and operations share, without HTTP.

A feature describes its noun to the kernel and keeps its own rules:

- a versioned asset (models, environments, data) adds two tables to `assets/repository.py`, subclasses
  `assets/service.py:VersionedAssets` with the rules of its content, and calls `web/asset_routes.py:asset_router`;
- an endpoint or deployment makes an `EndpointTable` or `DeploymentTable` with the mapping of its row, and has its own
  routes, because status codes, headers and bodies differ.

Archive and restore are a change of `is_archived`. There are no conditional requests: Azure Machine Learning's resources
have no ETag. A change locks its row instead, and a change during an operation is refused with 409.
"""
