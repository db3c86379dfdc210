package firesteel.classification

import java.nio.charset.StandardCharsets
import java.nio.{ByteBuffer, ByteOrder}

import firesteel.bridge.{InvalidSpecException, NativeShard}
import firesteel.network._
import firesteel.plugin.FiresteelPlugin
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.sql.SparkSession
import org.json4s.JsonAST.{JInt, JObject}
import org.json4s.jackson.JsonMethods
import org.scalatest.funsuite.AnyFunSuite

/** Fits whose center variable is spread over several servers, all in this JVM. */
final class ShardSuite extends AnyFunSuite {

  private def withSession[T](settings: (String, String)*)(body: SparkSession => T): T = {
    val builder = SparkSession.builder().master("local[2]").appName("shards")
    val spark = settings
      .foldLeft(builder) { case (all, (key, value)) => all.config(key, value) }
      .config("spark.ui.enabled", false)
      .config("spark.sql.shuffle.partitions", 3)
      .getOrCreate()
    try body(spark)
    finally spark.stop()
  }

  private val plugin = "spark.plugins" -> classOf[FiresteelPlugin].getName

  /** Five stripes of parameters. */
  private def classifier: NetworkClassifier = Blobs
    .classifier()
    .setNetwork(Network.sequential(Linear(20000), ReLU, Linear(3)))
    .setLearningRate(0.002)
    .setEpochs(3)

  test("without the plugin there are no shards, and the text says what to configure") {
    withSession() { spark =>
      val error = intercept[IllegalArgumentException] {
        classifier.setServerShards(2).fit(Blobs.frame(spark))
      }
      assert(error.getMessage.contains("spark.plugins"), error.getMessage)
      assert(error.getMessage.contains("serverShards is 2"), error.getMessage)
    }
  }

  test("one worker trains to the same bits with one server and with three") {
    withSession(plugin) { spark =>
      val data = Blobs.frame(spark)
      for (strategy <- Seq("adag", "easgd", "dynsgd", "single")) {
        val answers = Seq(1, 3).map { shards =>
          val estimator =
            classifier.setStrategy(strategy).setNumWorkers(1).setServerShards(shards)
          if (strategy == "single") estimator.clear(estimator.window)
          val model = estimator.fit(data)
          model.transform(data).orderBy("id").select("probability").collect().toSeq
        }
        assert(answers.head === answers(1), strategy)
      }
    }
  }

  test("several workers learn through three servers, twice in one session") {
    withSession(plugin) { spark =>
      val data = Blobs.frame(spark)
      for (strategy <- Seq("adag", "averaging")) {
        val estimator = classifier.setStrategy(strategy).setNumWorkers(3).setEpochs(6)
        if (strategy == "averaging") estimator.clear(estimator.window)
        val model = estimator.setServerShards(3).fit(data)
        assert(Blobs.accuracy(model.transform(data)) > 0.9, strategy)
      }
    }
  }

  test("three servers start from given weights, the buffers of a batch normalisation among them") {
    withSession(plugin) { spark =>
      val data = Blobs.frame(spark)
      val network = Network.sequential(Linear(20000), BatchNorm1d(), ReLU, Linear(3))
      val first = classifier.setNetwork(network).setNumWorkers(1).setEpochs(1).fit(data)
      val further = classifier
        .setNetwork(network.withWeights(first.weights))
        .setServerShards(3)
        .setEpochs(1)
      // A rate that moves no parameter; statistics are what they are.
      val standing = further.copy(ParamMap.empty).setOptimizer("sgd").setLearningRate(1e-30)
      for (workers <- Seq(1, 3)) {
        val after = tensors(standing.setNumWorkers(workers).fit(data).weights)
        val before = tensors(first.weights)
        assert(after.keySet === before.keySet)
        val parameters =
          before.keySet.filterNot(name => name.contains("running") || name.contains("num_"))
        assert(parameters.size === 6)
        parameters.foreach(name => assert(after(name) === before(name), s"$name, $workers workers"))
        val batches = "1.num_batches_tracked"
        assert(after(batches) !== before(batches))
      }
      def through(shards: Int): Array[Byte] =
        further.setNumWorkers(1).setServerShards(shards).fit(data).weights
      val three = through(3)
      assert(three === through(1))
      assert(three !== first.weights)
    }
  }

  /** The bytes of each tensor of a safetensors file. */
  private def tensors(file: Array[Byte]): Map[String, Seq[Byte]] = {
    val length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong.toInt
    val start = 8 + length
    JsonMethods.parse(new String(file, 8, length, StandardCharsets.UTF_8)) match {
      case JObject(entries) =>
        entries
          .filter(_._1 != "__metadata__")
          .map { case (name, entry) =>
            val offsets = (entry \ "data_offsets").children.collect { case JInt(n) => n.toInt }
            name -> file.slice(start + offsets.head, start + offsets.last).toSeq
          }
          .toMap
      case other => fail(s"no header of safetensors: $other")
    }
  }

  test("a network that is too small for so many shards gets fewer, with a warning") {
    withSession(plugin) { spark =>
      val warnings = LoggedWarnings.of("firesteel.cluster.ShardServers") { _ =>
        Blobs.classifier().setServerShards(4).fit(Blobs.frame(spark))
      }
      assert(warnings.exists(_.contains("1 server shards instead of 4")), warnings)
    }
  }

  test("a shard's document that is incomplete is refused by the missing field") {
    withSession(plugin) { _ =>
      val error = intercept[InvalidSpecException](NativeShard.open("{}", null))
      assert(error.getMessage.startsWith("shard specification: missing field"), error.getMessage)
    }
  }
}
