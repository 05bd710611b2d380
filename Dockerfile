# docker build -t brainleaks . && docker run --rm -v "$PWD:/work" brainleaks audit MODEL --data PATH
FROM python:3.12-slim
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir '.[nir,snntorch]' \
    && useradd --create-home user \
    && mkdir /work && chown user /work
USER user
WORKDIR /work
ENTRYPOINT ["brainleaks"]
