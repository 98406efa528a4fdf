"""Takes webhooks from PagerDuty: what people do there happens here, too.

request ─▶ server ─signed?─▶ inbox ─committed: 202─▶ worker ─whose?─▶ finding ─▶ pipeline: one transaction
"""
