package firesteel.classification

import java.nio.file.Files

import firesteel.network._
import org.apache.spark.ml.Pipeline
import org.apache.spark.ml.attribute.{Attribute, AttributeGroup, NominalAttribute}
import org.apache.spark.ml.classification.OneVsRest
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.feature.{IndexToString, StringIndexer, VectorAssembler}
import org.apache.spark.ml.linalg.{SparseVector, Vector, Vectors}
import org.apache.spark.ml.param.ParamsSuite
import org.apache.spark.ml.tuning.{CrossValidator, ParamGridBuilder, TrainValidationSplit}
import org.apache.spark.ml.util.{DefaultReadWriteTest, MLTest}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions._

final class NetworkClassifierSuite extends MLTest with DefaultReadWriteTest {
  import testImplicits._

  private lazy val data: DataFrame = Blobs.frame(spark)
  private lazy val fitted: NetworkClassificationModel = Blobs.classifier().fit(data)

  test("it learns what is easy to learn") {
    assert(Blobs.accuracy(fitted.transform(data)) > 0.95)
    assert(fitted.numClasses === 3)
    assert(fitted.numFeatures === Blobs.Size)
    assert(fitted.hasParent)
  }

  test("the model's parameters are as Spark wants them") {
    ParamsSuite.checkParams(fitted)
    assert(fitted.copy(fitted.extractParamMap()).fitted eq fitted.fitted)
  }

  test("batch and streaming transforms give the same columns") {
    testTransformer[(Vector, Double)](
      data.select("features", "label").as[(Vector, Double)].toDF("features", "label"),
      fitted,
      "rawPrediction",
      "probability",
      "prediction"
    ) { row =>
      val probability = row.getAs[Vector](1)
      assert(row.getAs[Vector](0).argmax === row.getDouble(2).toInt)
      assert(probability.argmax === row.getDouble(2).toInt)
      assert(math.abs(probability.toArray.sum - 1) < 1e-6)
      ()
    }
  }

  test("one row is predicted as the transform predicts it") {
    fitted.transform(data).limit(20).collect().foreach { row =>
      val features = row.getAs[Vector]("features")
      assert(fitted.predict(features) === row.getAs[Double]("prediction"))
      val raw = fitted.predictRaw(features).toArray
      raw.zip(row.getAs[Vector]("rawPrediction").toArray).foreach { case (a, b) =>
        assert(math.abs(a - b) < 1e-5)
      }
      val probability = fitted.predictProbability(features).toArray
      probability.zip(row.getAs[Vector]("probability").toArray).foreach { case (a, b) =>
        assert(math.abs(a - b) < 1e-5)
      }
    }
  }

  test("the summary tells what happened") {
    val summary = fitted.summary
    assert(summary.epochs.map(_.epoch) === (0 until 8))
    assert(summary.epochs.forall(_.rows == 240))
    assert(summary.losses.last < summary.losses.head / 2)
    assert(summary.rowsTrained === 8 * 240)
    assert(summary.commits > 0)
    assert(summary.stalenessHistogram.sum === summary.commits)
    assert(summary.workers === 2)
    assert(summary.tasks === 2)
    assert(summary.rowsPerSecond > 0)
    assert(
      summary.ledger.map(_.rows).sum === 8 * 240,
      "every row of every epoch in one applied commit"
    )
  }

  test("a saved model comes back as it was") {
    val loaded = testDefaultReadWrite(fitted)
    assert(loaded.network === fitted.network)
    assert(loaded.weights === fitted.weights)
    assert(loaded.numClasses === 3)
    assert(loaded.summary === fitted.summary)
    assert(predictions(loaded) === predictions(fitted))
  }

  test("a saved estimator comes back as it was") {
    testDefaultReadWrite(Blobs.classifier().setWeightCol("weight").setThresholds(Array(0.5, 1, 1)))
  }

  test("estimator and model are read back by Spark's own check") {
    testEstimatorAndModelReadWrite(
      Blobs.classifier().setEpochs(1),
      data,
      Map("epochs" -> 1, "batchSize" -> 16),
      Map("epochs" -> 1, "batchSize" -> 16),
      (one: NetworkClassificationModel, other: NetworkClassificationModel) => {
        assert(one.network === other.network)
        assert(one.weights === other.weights)
        ()
      }
    )
  }

  test("the same seed gives the same bits with one worker, another seed others") {
    def weights(seed: Long): Array[Byte] =
      Blobs.classifier().setNumWorkers(1).setSeed(seed).fit(data).weights
    assert(weights(3) === weights(3))
    assert(weights(3) !== weights(4))
  }

  private def predictions(model: NetworkClassificationModel, on: DataFrame = data): Seq[Double] =
    model.transform(on).orderBy("id").select("prediction").as[Double].collect().toSeq

  private def learns(classifier: NetworkClassifier, df: DataFrame): NetworkClassificationModel = {
    val model = classifier.fit(df)
    assert(Blobs.accuracy(model.transform(df)) > 0.9)
    model
  }

  test("features may be sparse vectors") {
    val sparse = udf((v: Vector) => v.toSparse: Vector)
    learns(Blobs.classifier(), data.withColumn("features", sparse($"features")))
  }

  test("wide sparse vectors train, and the model predicts as it does once it is saved") {
    val spread = udf { (id: Long, label: Double) =>
      val own = label.toInt * 1000 + (id % 7).toInt
      Vectors.sparse(5000, Array(own, 3000 + (id * 31 % 1999).toInt), Array(1.0, 0.3))
    }
    val wide = data.withColumn("features", spread($"id", $"label"))
    for (strategy <- Seq("auto", "downpour")) {
      val classifier = Blobs.classifier().setStrategy(strategy).setLearningRate(0.5)
      val model = learns(classifier.setValidationFraction(0.1), wide)
      val folder = Files.createTempDirectory("wide").toString
      model.write.overwrite().save(folder)
      val loaded = NetworkClassificationModel.load(folder)
      assert(predictions(loaded, wide) === predictions(model, wide))
      val dense = udf((v: Vector) => v.toDense: Vector)
      val filled = wide.withColumn("features", dense($"features"))
      assert(predictions(model, filled) === predictions(model, wide))
    }
  }

  test("features may be arrays of any numeric type") {
    val values = udf((v: Vector) => v.toArray.map(x => (x * 20).toInt))
    val integers = data.withColumn("features", values($"features"))
    Seq("tinyint", "smallint", "int", "bigint", "float", "double").foreach { element =>
      val typed = integers.withColumn("features", $"features".cast(s"array<$element>"))
      learns(Blobs.classifier().setEpochs(4).setFeaturesScale(0.05), typed)
    }
  }

  test("features may be bytes, which are scaled to lie between 0 and 1") {
    val bytes =
      udf((v: Vector) => v.toArray.map(x => math.max(0, math.min(255, x * 80 + 40)).toByte))
    val images = data.withColumn("features", bytes($"features"))
    val model = learns(Blobs.classifier().setEpochs(20), images)
    // One row is a vector, of values as they enter the network, whatever the fit has read.
    model.transform(images).limit(20).collect().foreach { row =>
      val scaled = row.getAs[Array[Byte]]("features").map(byte => (byte & 0xff) / 255.0)
      assert(model.predict(Vectors.dense(scaled)) === row.getAs[Double]("prediction"))
    }
  }

  test("a model may be used in a function that executors run") {
    val model = fitted
    val predict = udf((v: Vector) => model.predict(v))
    val rows = model.transform(data).limit(5).withColumn("again", predict($"features")).collect()
    rows.foreach(row => assert(row.getAs[Double]("again") === row.getAs[Double]("prediction")))
  }

  test("features may be several numeric columns") {
    val columns = (0 until Blobs.Size).map(i => s"x.$i")
    val spread = columns.zipWithIndex.foldLeft(data) { case (df, (name, i)) =>
      df.withColumn(name, element_at(udf((v: Vector) => v.toArray).apply($"features"), i + 1))
    }
    val model = learns(Blobs.classifier().setFeaturesCols(columns.toArray), spread.drop("features"))
    assert(model.numFeatures === Blobs.Size)
  }

  test("a label may have any numeric type") {
    Seq("tinyint", "int", "bigint", "float", "decimal(3,1)").foreach { kind =>
      learns(Blobs.classifier(), data.withColumn("label", $"label".cast(kind)))
    }
  }

  test("two classes may have one output: raw prediction is [-z, z]") {
    val two = Blobs.frame(spark, classes = 2)
    Seq(Seq(Linear(1)), Seq(Linear(1), Sigmoid)).foreach { layers =>
      val model = learns(Blobs.classifier().setNetwork(Network.sequential(layers: _*)), two)
      assert(model.numClasses === 2)
      model.transform(two).select("rawPrediction", "probability").collect().foreach { row =>
        val (raw, probability) = (row.getAs[Vector](0), row.getAs[Vector](1))
        assert(raw(0) === -raw(1))
        assert(math.abs(probability(1) - 1 / (1 + math.exp(-raw(1)))) < 1e-6)
      }
    }
  }

  test("a trailing Softmax is part of the loss: raw predictions are the logits") {
    val network = Blobs.classifier().getNetwork
    def weights(of: Network): Array[Byte] =
      Blobs.classifier().setNumWorkers(1).setNetwork(of).fit(data).weights
    val ending = Network.sequential(Linear(16), ReLU, Linear(3), Softmax)
    assert(weights(ending) === weights(network))
  }

  test("OneVsRest trains one classifier of one output for each class") {
    val model = new OneVsRest().setClassifier(Blobs.classifier(outputs = 1)).fit(data)
    assert(model.models.length === 3)
    assert(Blobs.accuracy(model.transform(data)) > 0.95)
  }

  test("every loss for classes learns") {
    ClassificationObjective.losses.filter(_ != "nll_loss").foreach { loss =>
      val softmax = loss == "kl_div" || loss == "mse_loss" || loss == "l1_loss"
      val layers = Seq(Linear(16), ReLU, Linear(3)) ++ (if (softmax) Seq(Softmax) else Nil)
      val network = Network.sequential(layers: _*)
      learns(Blobs.classifier().setNetwork(network).setLoss(loss).setEpochs(30), data)
    }
    val network = Network.sequential(Linear(3), LogSoftmax)
    learns(Blobs.classifier().setNetwork(network).setLoss("nll_loss"), data)
  }

  test("every strategy learns") {
    Seq("single", "downpour", "adag", "agn").foreach { name =>
      val classifier = Blobs.classifier().setStrategy(name)
      if (name == "single") classifier.clear(classifier.window).clear(classifier.numWorkers)
      learns(classifier, data)
    }
  }

  test("rows of weight 0 teach nothing") {
    val lies = data.withColumn("label", lit(0.0)).withColumn("weight", lit(0.0))
    val both = data.withColumn("weight", lit(1.0)).union(lies.union(lies))
    val model = Blobs.classifier().setWeightCol("weight").fit(both)
    assert(Blobs.accuracy(model.transform(data)) > 0.9)
    assert(Blobs.accuracy(Blobs.classifier().fit(both).transform(data)) < 0.9)
  }

  test("thresholds move the decision as Spark's do") {
    val never = fitted.copy(fitted.extractParamMap()).setThresholds(Array(1e-30, 1.0, 1.0))
    assert(predictions(never).forall(_ == 0.0))
    val error = intercept[IllegalArgumentException](
      Blobs.classifier().setThresholds(Array(0.5, 0.5)).fit(data)
    )
    assert(error.getMessage.contains("2 thresholds, but the network has 3 classes"))
  }

  test("the label's names are those of the predictions") {
    val named = data.withColumn("name", concat(lit("class "), $"label".cast("int").cast("string")))
    val indexer = new StringIndexer().setInputCol("name").setOutputCol("index").fit(named)
    val indexed = indexer.transform(named)
    val model = Blobs.classifier().setLabelCol("index").fit(indexed)
    val predicted = model.transform(indexed)
    val attribute = Attribute.fromStructField(predicted.schema("prediction"))
    assert(attribute.asInstanceOf[NominalAttribute].values.get === indexer.labelsArray.head)
    assert(AttributeGroup.fromStructField(predicted.schema("probability")).size === 3)
    val back =
      new IndexToString().setInputCol("prediction").setOutputCol("guess").transform(predicted)
    assert(back.where($"guess" === $"name").count() > 0.9 * data.count())
    val path = java.nio.file.Files.createTempDirectory("firesteel").resolve("model").toString
    model.save(path)
    val loaded = NetworkClassificationModel.load(path)
    assert(loaded.transformSchema(indexed.schema) === model.transformSchema(indexed.schema))
  }

  test("the schema is known without data, and is that of the transform") {
    assert(fitted.transformSchema(data.schema) === fitted.transform(data).schema)
    val names = Blobs.classifier().transformSchema(data.schema).fieldNames
    assert(names.takeRight(3) === Array("rawPrediction", "probability", "prediction"))
  }

  test("an output column without a name is not produced") {
    val model = fitted.copy(fitted.extractParamMap()).setRawPredictionCol("").setProbabilityCol("")
    assert(model.transform(data).columns === data.columns :+ "prediction")
  }

  test("it works in a Pipeline") {
    val spread = data
      .select($"label", udf((v: Vector) => v.toArray).apply($"features").as("x"))
      .select($"label" +: (0 until Blobs.Size).map(i => $"x" (i).as(s"x$i")): _*)
    val assembler = new VectorAssembler()
      .setInputCols((0 until Blobs.Size).map(i => s"x$i").toArray)
      .setOutputCol("features")
    val model = new Pipeline().setStages(Array(assembler, Blobs.classifier())).fit(spread)
    assert(Blobs.accuracy(model.transform(spread)) > 0.95)
  }

  test("a CrossValidator and a TrainValidationSplit choose among parameters, also networks") {
    val classifier = Blobs.classifier()
    val grid = new ParamGridBuilder()
      .addGrid(classifier.learningRate, Array(1e-9, 0.02))
      .addGrid(
        classifier.network,
        Seq(Network.sequential(Linear(3)), classifier.getNetwork).map(_.toJson)
      )
      .build()
    val evaluator = new MulticlassClassificationEvaluator().setMetricName("accuracy")
    val cross = new CrossValidator()
      .setEstimator(classifier)
      .setEstimatorParamMaps(grid)
      .setEvaluator(evaluator)
      .setNumFolds(2)
      .fit(data)
    assert(cross.avgMetrics.max > 0.9 && cross.avgMetrics.min < 0.9)
    val best = cross.bestModel.asInstanceOf[NetworkClassificationModel]
    assert(best.getLearningRate === 0.02)
    val split = new TrainValidationSplit()
      .setEstimator(classifier)
      .setEstimatorParamMaps(grid)
      .setEvaluator(evaluator)
      .fit(data)
    assert(split.validationMetrics.max > 0.9)
  }

  test("a shape of the input reshapes flat features") {
    val network = Network
      .sequential(Conv2d(4, 2, padding = 1), BatchNorm2d(), ReLU, Flatten, Linear(3))
      .withInputShape(1, 2, 2)
    learns(Blobs.classifier().setNetwork(network), data)
  }

  test("more workers than slots, and than rows, work") {
    def adag: NetworkClassifier = Blobs.classifier().setStrategy("adag")
    assert(learns(adag.setNumWorkers(5), data).summary.workers === 5)
    val few = data.limit(3)
    assert(adag.setNumWorkers(8).fit(few).summary.rowsTrained === 24)
  }

  test("vectors that are sparse at one row and dense at another are the same to it") {
    val mixed = udf((id: Long, v: Vector) =>
      if (id % 2 == 0) v.toDense: Vector
      else Vectors.sparse(v.size, v.toSparse.indices, v.toSparse.values)
    )
    val predicted = fitted.transform(data.withColumn("features", mixed($"id", $"features")))
    assert(predicted.where($"features".isNotNull).count() === 240)
    assert(
      predicted.orderBy("id").select("prediction").as[Double].collect().toSeq === predictions(
        fitted
      )
    )
    assert(predicted.select("features").collect().exists(_.get(0).isInstanceOf[SparseVector]))
  }
}
