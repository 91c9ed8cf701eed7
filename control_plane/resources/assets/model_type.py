"""The types of models, which registration and deployments read."""

from control_plane.resources.arm_body import ArmEnum


class ModelType(ArmEnum):
    MLFLOW = "mlflow_model"
    CUSTOM = "custom_model"
    TRITON = "triton_model"

    @classmethod
    def _missing_(cls, value: object) -> "ModelType | None":
        spelled = str(value).replace("_", "").lower()
        return next((member for member in cls if member.value.replace("_", "") == spelled), None)
