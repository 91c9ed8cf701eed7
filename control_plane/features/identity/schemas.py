"""The token route's JSON, in the form of Azure App Service. Its names have underscores."""

from pydantic import BaseModel


class IdentityTokenBody(BaseModel):
    access_token: str
    expires_on: str
    """Unix seconds, as text."""
    resource: str
    """As the request names the resource. One token opens every resource of the platform."""
    token_type: str = "Bearer"
