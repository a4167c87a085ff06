# docker build -t modtrans . && docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/data" modtrans demo
# With a GPU: docker build --build-arg TORCH=https://download.pytorch.org/whl/cu126 -t modtrans . && docker run --gpus all ...
# With all of the paper: --build-arg EXTRAS=paper
ARG PYTHON=3.11
FROM python:${PYTHON}-slim
ARG TORCH=https://download.pytorch.org/whl/cpu
ARG EXTRAS=encoders,analysis
RUN pip install --no-cache-dir torch torchvision --index-url ${TORCH}
COPY . /src
RUN pip install --no-cache-dir "/src[${EXTRAS}]"
# caches of whoever runs it
ENV HOME=/tmp
WORKDIR /data
ENTRYPOINT ["modtrans"]
CMD ["demo"]
