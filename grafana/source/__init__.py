"""What the dashboards are made from: one module a dashboard, and the parts that they share."""
