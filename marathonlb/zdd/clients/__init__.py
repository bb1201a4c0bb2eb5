"""The clients of a deployment: Marathon, the load balancers, and the hook."""
