"""What the fake API answers: endpoints, streams, resources and refusals, modelled on OpenAI's published specification."""
