"""Give the running cluster the smallest and largest numbers of pods that the RayService has.

KubeRay gives them to the next cluster alone: a RayService whose numbers of pods change gets no new cluster, and its
running one keeps the old numbers.
"""

import kube


def operations(cluster, wanted):
    """Return the JSON patch that gives a RayCluster these limits. Empty if it has them.

    ``wanted``: limits by the name of the group. A group that only one of them has is left as it is.
    """
    found = []
    for number, group in enumerate(cluster["spec"].get("workerGroupSpecs") or ()):
        limits = wanted.get(group["groupName"]) or {}
        changed = {field: limit for field, limit in limits.items() if group.get(field) != limit}
        if changed:
            at = f"/spec/workerGroupSpecs/{number}"
            found.append({"op": "test", "path": f"{at}/groupName", "value": group["groupName"]})
            found += [{"op": "add", "path": f"{at}/{field}", "value": limit} for field, limit in changed.items()]
    return found


def limits_of(service):
    """Return the limits of a RayService's worker groups, by name."""
    groups = service["spec"]["rayClusterConfig"].get("workerGroupSpecs") or ()
    return {group["groupName"]: {field: group[field] for field in ("minReplicas", "maxReplicas")} for group in groups}


def scale():
    """Change the clusters of the RayService. Return what stands in the way; an empty text if nothing does."""
    service = kube.ask(f"rayservices/{kube.RAYSERVICE}")
    if kube.unprocessed(service):
        return "KubeRay has not processed the manifest. Check that its operator runs"
    active = ((service.get("status") or {}).get("activeServiceStatus") or {}).get("rayClusterName")
    for name in filter(None, (active, kube.pending_cluster(service))):
        if todo := operations(kube.ask(f"rayclusters/{name}"), limits_of(service)):
            kube.patch(f"rayclusters/{name}", todo)
            print(name, *(f"{one['path']}: {one['value']}" for one in todo if one["op"] == "add"))
    return ""


if __name__ == "__main__":
    kube.overcome(scale, "The numbers of pods were not changed")
