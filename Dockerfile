# The page in a container: docker build -t shield . && docker run -p 127.0.0.1:7860:7860 shield
FROM python:3.12-slim

# Whoever visits is a stranger: the page runs as nobody in particular, and writes in its own home alone.
RUN useradd --create-home shield
# pip reads it, where one is given at build time.
ARG PIP_EXTRA_INDEX_URL
WORKDIR /app
COPY pyproject.toml README.md LICENSE app.py ./
COPY shield shield
COPY models models
COPY examples examples
# In place, so that the weights lie there once. The list of models is a trial run.
RUN pip install --no-cache-dir -e '.[page]' && shield models >/dev/null
USER shield

EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860')"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860", "--no-open"]
