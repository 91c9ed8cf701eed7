"""Which deployment a path means: the name in it may be the endpoint's, the registered model's or a deployment's.

The endpoint's and the model's leave the choice to the traffic, among the deployments that serve such a model; a
deployment's chooses it whatever its weight, as the header `azureml-model-deployment` does.
"""

from data_plane.gateway.messages import Request
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.scoring.codecs.open_inference.paths import AskedModel, asked_model
from data_plane.scoring.errors import UnknownModel


def choose(request: Request, endpoint: LiveEndpoint) -> LiveDeployment:
    asked = asked_model(request.path)
    if request.named_deployment is None and _is_only_a_deployments(asked.name, endpoint):
        request.deployment_in_path = asked.name
    named = request.named_deployment
    if named is not None:
        return _checked(endpoint.choose(named), asked, endpoint)
    if asked == (endpoint.name, None):
        return endpoint.choose(None)
    chosen = endpoint.choose_among(lambda deployment: _serves(deployment, asked, endpoint))
    if chosen is None:
        raise UnknownModel(asked.name, asked.version)
    return chosen


def _is_only_a_deployments(name: str, endpoint: LiveEndpoint) -> bool:
    if name == endpoint.name or name not in endpoint.deployments:
        return False
    return not any(_has_model(deployment, name) for deployment in endpoint.deployments.values())


def _checked(deployment: LiveDeployment, asked: AskedModel, endpoint: LiveEndpoint) -> LiveDeployment:
    if asked.version is None and asked.name in (deployment.route.name, endpoint.name):
        return deployment
    if not _serves(deployment, asked, endpoint):
        raise UnknownModel(asked.name, asked.version)
    return deployment


def _serves(deployment: LiveDeployment, asked: AskedModel, endpoint: LiveEndpoint) -> bool:
    if not deployment.is_readable:
        return False
    is_named = asked.name in (endpoint.name, deployment.route.name, deployment.bundle.model.name)
    return is_named and asked.version in (None, deployment.bundle.model.version)


def _has_model(deployment: LiveDeployment, name: str) -> bool:
    return deployment.is_readable and deployment.bundle.model.name == name
