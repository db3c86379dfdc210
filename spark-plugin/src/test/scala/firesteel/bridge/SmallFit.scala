package firesteel.bridge

import java.util.{Collections, UUID}

import scala.jdk.CollectionConverters._
import scala.util.Using

import org.apache.arrow.c.{ArrowArray, ArrowArrayStream, ArrowSchema, Data}
import org.apache.arrow.memory.{BufferAllocator, RootAllocator}
import org.apache.arrow.vector.{FieldVector, Float4Vector, Float8Vector, VectorSchemaRoot}
import org.apache.arrow.vector.complex.{FixedSizeListVector, StructVector}
import org.apache.arrow.vector.ipc.ArrowReader
import org.apache.arrow.vector.types.FloatingPointPrecision
import org.apache.arrow.vector.types.pojo.{ArrowType, Field, FieldType, Schema}

/** A fit without Spark, directly over the boundary: two features, and a class that is 1 if the first is larger.
  *
  * @param epochs
  *   a large number is a fit that does not end by itself
  */
final class SmallFit(val epochs: Int) {
  val fit: String = UUID.randomUUID().toString
  val secret: String = "5a" * 32

  private val network: String =
    """{"format": "firesteel.network/1", "inputs": ["x"], "outputs": ["2"], "nodes": [
      |  {"name": "0", "op": "Linear", "inputs": ["x"], "args": {"out_features": 8}},
      |  {"name": "1", "op": "ReLU", "inputs": ["0"], "args": {}},
      |  {"name": "2", "op": "Linear", "inputs": ["1"], "args": {"out_features": 2}}]}""".stripMargin

  private def data(labels: String): String =
    s"""{"inputs": [{"name": "x", "column": "features", "format": "dense", "element": "f32",
       |  "shape": [2], "scale": 1.0}], "labels": [$labels], "weight": null}""".stripMargin

  private val trained = data("""{"column": "label", "kind": {"type": "class", "classes": 2}}""")
  private val strategy = """{"name": "adag", "window": 4}"""

  val inspection: String = s"""{"network": $network, "inputs": [{"name": "x", "shape": [2]}]}"""

  val server: String =
    s"""{"fit": "$fit", "network": $network, "data": $trained, "strategy": $strategy, "workers": 1,
       |  "epochs": $epochs, "seed": 7, "bindAddress": "127.0.0.1", "port": 0, "portMaxRetries": 0,
       |  "secret": "$secret", "leaseMillis": 30000, "startTimeoutMillis": 30000}""".stripMargin

  def worker(port: Int): String =
    s"""{"server": {"fit": "$fit", "host": "127.0.0.1", "port": $port, "secret": "$secret",
       |    "timeoutMillis": 5000},
       |  "network": $network, "data": $trained, "losses": [{"loss": {"name": "cross_entropy"}, "weight": 1}],
       |  "optimizer": {"name": "sgd", "learningRate": 0.5, "momentum": 0.0, "dampening": 0.0,
       |    "nesterov": false, "weightDecay": 0.0},
       |  "strategy": $strategy, "batchSize": 8, "epochs": $epochs, "seed": 7, "shuffle": true,
       |  "partition": 0, "attempt": 0, "workersInTask": 1, "threads": 1, "cacheBytes": 1000000,
       |  "spillDirectories": ["${System.getProperty("java.io.tmpdir")}"]}""".stripMargin

  def predictor(hash: String): String =
    s"""{"weights": "$hash", "network": $network, "data": ${data("")}, "task": "classification",
       |  "outputs": ["probability", "prediction"], "thresholds": [], "threads": 1}""".stripMargin
}

object SmallFit {
  private val Port = "\"port\":(\\d+)".r

  def portOf(status: String): Int =
    Port.findFirstMatchIn(status).map(_.group(1).toInt).getOrElse(fail(status))

  private def fail(status: String): Nothing = throw new AssertionError(s"no port in $status")

  /** Runs the body and checks that it gave all Arrow memory back. */
  def withAllocator[A](body: BufferAllocator => A): A =
    Using.resource(new RootAllocator()) { allocator =>
      val result = body(allocator)
      assert(allocator.getAllocatedMemory == 0, "Arrow memory is left")
      result
    }

  private def number(precision: FloatingPointPrecision): ArrowType =
    new ArrowType.FloatingPoint(precision)

  private val features: Field = new Field(
    "features",
    FieldType.notNullable(new ArrowType.FixedSizeList(2)),
    Collections.singletonList(
      new Field("element", FieldType.notNullable(number(FloatingPointPrecision.SINGLE)), null)
    )
  )
  private val label: Field =
    new Field("label", FieldType.notNullable(number(FloatingPointPrecision.DOUBLE)), null)

  /** Points of a grid, with the class of each. */
  def rows(count: Int): Seq[(Float, Float, Double)] = Seq.tabulate(count) { i =>
    val (a, b) = ((i * 7 % 31) / 31f, (i * 11 % 29) / 29f)
    (a, b, if (a > b) 1.0 else 0.0)
  }

  private def fillFeatures(vector: FieldVector, rows: Seq[(Float, Float, Double)]): Unit = {
    val list = vector.asInstanceOf[FixedSizeListVector]
    val values = list.getDataVector.asInstanceOf[Float4Vector]
    list.allocateNew()
    values.allocateNew(2 * rows.size)
    rows.zipWithIndex.foreach { case ((a, b, _), i) =>
      list.setNotNull(i)
      values.set(2 * i, a)
      values.set(2 * i + 1, b)
    }
    values.setValueCount(2 * rows.size)
    list.setValueCount(rows.size)
  }

  /** A stream of batches, which are read when native code pulls them; `failure` is thrown after the last. */
  final class Stream(
      allocator: BufferAllocator,
      batches: Seq[Seq[(Float, Float, Double)]],
      failure: Option[RuntimeException] = None
  ) extends ArrowReader(allocator) {
    private val remaining = batches.iterator

    override def loadNextBatch(): Boolean =
      if (remaining.hasNext) {
        prepareLoadNextBatch()
        val (root, batch) = (getVectorSchemaRoot, remaining.next())
        fillFeatures(root.getVector("features"), batch)
        val labels = root.getVector("label").asInstanceOf[Float8Vector]
        labels.allocateNew(batch.size)
        batch.zipWithIndex.foreach { case (row, i) => labels.set(i, row._3) }
        labels.setValueCount(batch.size)
        root.setRowCount(batch.size)
        true
      } else {
        failure.foreach(throw _)
        false
      }

    override def bytesRead(): Long = 0

    override protected def closeReadSource(): Unit = ()

    override protected def readSchema(): Schema = new Schema(Seq(features, label).asJava)
  }

  /** Gives a worker its rows. */
  def load(worker: NativeWorker, batches: Seq[(Float, Float, Double)]*): Unit =
    withAllocator { allocator =>
      loadFrom(worker, allocator, new Stream(allocator, batches))
    }

  def loadFrom(worker: NativeWorker, allocator: BufferAllocator, reader: ArrowReader): Unit =
    Using.resource(ArrowArrayStream.allocateNew(allocator)) { stream =>
      Data.exportArrayStream(allocator, reader, stream)
      worker.load(stream.memoryAddress())
    }

  /** The probability of class 1 and the prediction, for each row. */
  def predict(
      predictor: NativePredictor,
      rows: Seq[(Float, Float, Double)]
  ): Seq[(Double, Double)] = withAllocator { allocator =>
    Using.Manager { use =>
      val root = use(VectorSchemaRoot.create(new Schema(Seq(features).asJava), allocator))
      fillFeatures(root.getVector(0), rows)
      root.setRowCount(rows.size)
      val (inArray, inSchema) =
        (use(ArrowArray.allocateNew(allocator)), use(ArrowSchema.allocateNew(allocator)))
      val (outArray, outSchema) =
        (use(ArrowArray.allocateNew(allocator)), use(ArrowSchema.allocateNew(allocator)))
      Data.exportVectorSchemaRoot(allocator, root, null, inArray, inSchema)
      predictor.run(
        inArray.memoryAddress(),
        inSchema.memoryAddress(),
        outArray.memoryAddress(),
        outSchema.memoryAddress()
      )
      val result =
        use(Data.importVector(allocator, outArray, outSchema, null).asInstanceOf[StructVector])
      val probability = result.getChild("probability").asInstanceOf[FixedSizeListVector]
      val classes = probability.getDataVector.asInstanceOf[Float8Vector]
      val prediction = result.getChild("prediction").asInstanceOf[Float8Vector]
      rows.indices.map(i => (classes.get(2 * i + 1), prediction.get(i)))
    }.get
  }
}
