package firesteel.classification

import java.io.{FileNotFoundException, IOException}
import java.nio.file.{Files, Path}
import java.util.concurrent.atomic.AtomicInteger

import firesteel.bridge._
import firesteel.data.LocalSpark
import firesteel.network._
import org.apache.spark.firesteel.Listeners
import org.apache.spark.ml.functions.vector_to_array
import org.apache.spark.ml.attribute.NominalAttribute
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.scheduler.{SparkListener, SparkListenerTaskStart}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types.Metadata
import org.scalatest.funsuite.AnyFunSuite

/** Each failure of a fit has its own type and a text with the problem and its place. */
final class FitFailureSuite extends AnyFunSuite with LocalSpark {
  private lazy val data: DataFrame = Blobs.frame(spark)

  private def fails[E <: Throwable: Manifest](texts: String*)(body: => Any): E = {
    val error = intercept[E](body)
    texts.foreach(text => assert(error.getMessage.contains(text), error.getMessage))
    error
  }

  private def refused(texts: String*)(body: => Any): Unit = {
    fails[IllegalArgumentException](texts: _*)(body)
    ()
  }

  private def fit(df: DataFrame): NetworkClassificationModel = Blobs.classifier().fit(df)

  private def fit(layers: Layer*): NetworkClassificationModel =
    Blobs.classifier().setNetwork(Network.sequential(layers: _*)).fit(data)

  private def withFeature(value: Double): DataFrame = {
    val spoil =
      udf((id: Long, v: Vector) => if (id == 17) Vectors.dense(v.toArray.updated(2, value)) else v)
    data.withColumn("features", spoil(col("id"), col("features")))
  }

  test("a missing column is named, with those there are") {
    refused("the column 'features' does not exist", "'label'")(fit(data.drop("features")))
    refused("the column 'label' does not exist")(fit(data.drop("label")))
    refused("the column 'w' does not exist")(Blobs.classifier().setWeightCol("w").fit(data))
  }

  test("a column of a wrong type is named, with its type and what is accepted") {
    refused("'features' has type string", "expected a Spark ML vector")(
      fit(data.withColumn("features", lit("x")))
    )
    refused("'label' has type string", "expected a numeric type")(
      fit(data.withColumn("label", lit("x")))
    )
    refused("'weight' has type string")(
      Blobs.classifier().setWeightCol("weight").fit(data.withColumn("weight", lit("x")))
    )
  }

  test("an output column that exists already is refused") {
    refused("Column prediction already exists.")(fit(data.withColumn("prediction", lit(1.0))))
  }

  test("a null feature is refused with its column") {
    val nulls = data.withColumn("features", when(col("id") =!= 17, col("features")))
    fails[InvalidDataException]("'features'", "null")(fit(nulls))
  }

  test("a feature that is NaN or infinite is refused with its column and value") {
    fails[InvalidDataException]("features", "NaN")(fit(withFeature(Double.NaN)))
    fails[InvalidDataException]("features", "Infinity")(fit(withFeature(Double.PositiveInfinity)))
  }

  test("vectors of different sizes are refused with both sizes") {
    val shorten =
      udf((id: Long, v: Vector) => if (id == 17) Vectors.dense(v.toArray.take(3)) else v)
    fails[InvalidDataException]("features", "3", "4")(
      fit(data.withColumn("features", shorten(col("id"), col("features"))))
    )
  }

  test("a label that is out of range, fractional, negative or null is refused with its value") {
    def labelled(value: Any): DataFrame =
      data.withColumn("label", when(col("id") === 17, lit(value)).otherwise(col("label")))
    fails[InvalidDataException]("label", "3")(fit(labelled(3.0)))
    fails[InvalidDataException]("label", "0.5")(fit(labelled(0.5)))
    fails[InvalidDataException]("label", "-1")(fit(labelled(-1.0)))
    val nulls = data.withColumn("label", when(col("id") =!= 17, col("label")))
    fails[InvalidDataException]("label", "null")(fit(nulls))
  }

  test("a negative weight is refused with its value") {
    val negative = data.withColumn("weight", lit(-1.0))
    fails[InvalidDataException]("weight", "-1")(
      Blobs.classifier().setWeightCol("weight").fit(negative)
    )
  }

  test("rows that all have the weight 0 give no model") {
    fails[UntrainedModelException]("the weights of all rows are 0")(
      Blobs.classifier().setWeightCol("weight").fit(data.withColumn("weight", lit(0.0)))
    )
  }

  test("a network that does not fit is refused with the layer's name, before any job of training") {
    fails[InvalidSpecException]("'0'", "in_features")(fit(Linear(5, 3)))
    fails[InvalidSpecException]("'1'", "Conv2d")(fit(Linear(4), Conv2d(1, 3)))
    refused("the network's output '0' has the shape [2, 3]")(
      Blobs.classifier().setNetwork(Network.sequential(Linear(3)).withInputShape(2, 2)).fit(data)
    )
    val square = Network.sequential(Flatten, Linear(3)).withInputShape(3, 3)
    fails[InvalidDataException]("'features'", "4", "9")(
      Blobs.classifier().setNetwork(square).fit(data)
    )
    val unknown = Network(Seq("x"), Seq(Node("a", "Liner", Seq("x"))), Seq("a"))
    fails[InvalidSpecException]("'a'", "Liner")(Blobs.classifier().setNetwork(unknown).fit(data))
  }

  test("a network for fewer classes than the label has by its metadata is refused") {
    val metadata = NominalAttribute.defaultAttr.withName("label").withNumValues(5).toMetadata()
    val labelled = data.withMetadata("label", metadata)
    refused("'label' has 5 classes by its metadata", "but the network has 3")(fit(labelled))
    assert(fit(data.withMetadata("label", Metadata.empty)).numClasses === 3)
  }

  test(
    "a network whose weights no array of the JVM holds is refused before any job, with its numbers"
  ) {
    val wide = Network.sequential(Linear(1000000), Linear(1000), Linear(3))
    fails[NativeMemoryException]("1005004003 parameters", "2147483639 bytes (2 GiB)")(
      Blobs.classifier().setNetwork(wide).fit(data)
    )
  }

  test("a loss that does not fit the network is refused before any task runs") {
    val estimator = Blobs.classifier().setNetwork(Network.sequential(Linear(3), Sigmoid))
    val sized = data.select(vector_to_array(col("features")).as("features"), col("label"))
    val known = sized.withMetadata("features", Metadata.fromJson("""{"size": 4}"""))
    val tasks = new AtomicInteger
    val listener = new SparkListener {
      override def onTaskStart(event: SparkListenerTaskStart): Unit = {
        val _ = tasks.incrementAndGet()
      }
    }
    spark.sparkContext.addSparkListener(listener)
    try {
      fails[InvalidSpecException]("Sigmoid", "cross_entropy")(
        estimator.setLoss("cross_entropy").fit(known)
      )
      Listeners.drain(spark.sparkContext)
      assert(tasks.get === 0)
    } finally spark.sparkContext.removeSparkListener(listener)
  }

  test("a classifier without a network says so") {
    refused("has no network; set one with setNetwork")(new NetworkClassifier().fit(data))
  }

  test("a network of two inputs or outputs is refused by this estimator") {
    val add = Network(Seq("a", "b"), Seq(Node.of("sum", Add, "a", "b")), Seq("sum"))
    refused("has 2 inputs (a, b)")(Blobs.classifier().setNetwork(add).fit(data))
    val two = Network(
      Seq("a"),
      Seq(Node.of("l", Linear(3), "a"), Node.of("r", Linear(3), "a")),
      Seq("l", "r")
    )
    refused("has 2 outputs (l, r)")(Blobs.classifier().setNetwork(two).fit(data))
  }

  test("an empty DataFrame gives no model") {
    fails[UntrainedModelException]("no rows")(fit(data.where("id < 0")))
    val sized = data
      .where("id < 0")
      .select(array(lit(1.0f)).as("features"), col("label"))
      .withMetadata("features", Metadata.fromJson("""{"size": 4}"""))
    fails[UntrainedModelException]("no rows")(fit(sized))
  }

  test("a loss that becomes NaN ends the fit and says where") {
    fails[TrainingDivergedException]("the loss became", "epoch 1, mini-batch")(
      Blobs.classifier().setOptimizer("sgd").setLearningRate(1e30).setLoss("mse_loss").fit(data)
    )
  }

  test("a port that is taken is refused by its number") {
    val taken = new java.net.ServerSocket(0)
    val port = taken.getLocalPort
    val conf = Map("spark.firesteel.server.port" -> port.toString, "spark.port.maxRetries" -> "0")
    try withSparkConf(conf)(fails[PortInUseException](port.toString)(fit(data)))
    finally taken.close()
  }

  test("a misspelt configuration key is refused with those that are known") {
    withSparkConf(Map("spark.firesteel.server.prt" -> "1")) {
      refused("unknown configuration key 'spark.firesteel.server.prt'")(fit(data))
    }
  }

  /** SparkContext.getConf is a copy: settings of a running application are changed where it keeps them. */
  private def withSparkConf(settings: Map[String, String])(body: => Any): Unit = {
    val conf = org.apache.spark.SparkEnv.get.conf
    settings.foreach { case (key, value) => conf.set(key, value) }
    try {
      body
      ()
    } finally settings.keys.foreach(conf.remove)
  }

  private lazy val saved: Path = {
    val path = Files.createTempDirectory("firesteel").resolve("model")
    fit(data).save(path.toString)
    path
  }

  /** A copy of the saved model with one file changed. */
  private def damaged(file: String)(change: Path => Unit): String = {
    val copy = Files.createTempDirectory("firesteel").resolve("damaged")
    new ProcessBuilder("cp", "-r", saved.toString, copy.toString).inheritIO().start().waitFor()
    // Hadoop's checksums would notice first.
    Files.deleteIfExists(copy.resolve(s".$file.crc"))
    change(copy.resolve(file))
    copy.toString
  }

  private def overwrite(text: String)(file: Path): Unit = {
    Files.writeString(file, text)
    ()
  }

  test("a saved model that is damaged is refused by the name of the file") {
    val flip: Path => Unit = file => {
      val bytes = Files.readAllBytes(file)
      bytes(bytes.length - 1) = (bytes.last ^ 1).toByte
      Files.write(file, bytes)
      ()
    }
    refused("weights.safetensors", "SHA-256")(
      NetworkClassificationModel.load(damaged("weights.safetensors")(flip))
    )
    refused("network.json")(
      NetworkClassificationModel.load(damaged("network.json")(overwrite("{}")))
    )
    refused("model.json")(
      NetworkClassificationModel.load(damaged("model.json")(overwrite("[]")))
    )
    Seq("weights.safetensors", "network.json", "model.json").foreach { file =>
      fails[FileNotFoundException](file, "missing")(
        NetworkClassificationModel.load(damaged(file)(Files.delete(_)))
      )
    }
  }

  test("a model is not saved over another unless told so, and is no estimator") {
    val model = NetworkClassificationModel.load(saved.toString)
    fails[IOException]("already exists")(model.save(saved.toString))
    model.write.overwrite().save(saved.toString)
    refused("NetworkClassifier")(NetworkClassifier.load(saved.toString))
  }
}
